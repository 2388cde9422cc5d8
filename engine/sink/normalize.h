// Older and stray spellings of sink options, brought to the newest one. Source: the revisions of
// the $emit and $merge pages and public example programs.
#pragma once

#include <string_view>

#include "engine/document/bson.h"
#include "engine/document/status.h"

namespace millrace::engine {

// `spec` is what stands beside `stage` ("$merge", "$emit", …). Anything unknown is left as it is:
// the sink's parse function judges it.
Result<Document> normalize_sink(std::string_view stage, const Value& spec);

}  // namespace millrace::engine
