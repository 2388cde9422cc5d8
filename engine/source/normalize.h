// Older and stray spellings of $source options, brought to the newest one. Source: the revisions of
// the $source page and public example programs.
#pragma once

#include "engine/document/bson.h"
#include "engine/document/status.h"

namespace millrace::engine {

// `spec` is what stands beside $source. Anything unknown is left as it is: the source's parse
// function judges it. Requires: an object.
Result<Document> normalize_source(const Value& spec);

}  // namespace millrace::engine
