// Which changes of a pipeline a saved checkpoint survives.
// Source:
// https://www.mongodb.com/docs/atlas/atlas-stream-processing/manage-stream-processor/#modify-a-stream-processor
#pragma once

#include "engine/runtime/definition.h"

namespace millrace::engine {

// Ok if `after` can go on from a checkpoint of `before`. Errors: 72 InvalidOptions with the reason
// and the way out.
Status check_modification(const ProcessorDefinition& before, const ProcessorDefinition& after);

}  // namespace millrace::engine
