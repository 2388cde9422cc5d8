// Every kind of connection.
#pragma once

#include <span>

#include "engine/connection/connection.h"

namespace millrace::engine {

std::span<const ConnectionType> connection_types();

}  // namespace millrace::engine
