// The ready-made stream processor solarDemo, which a new user finds running.
#pragma once

#include "engine/document/status.h"
#include "engine/runtime/processor_manager.h"

namespace millrace::commands {

// Creates and starts it.
engine::Status start_demo(engine::ProcessorManager& processors);

// create(), but a ready-made solarDemo that nobody has changed gives way to a processor of that
// name: the manual's first steps create one. Errors: create()'s; the ready-made one is then back.
engine::Status create_over_demo(engine::ProcessorManager& processors,
                                const engine::CreateOptions& options);

}  // namespace millrace::commands
