// Timestamp(0, 0) in a field of a document that is stored whole stands for the time it is stored:
// https://www.mongodb.com/docs/manual/reference/bson-types/#timestamps . Not in _id, nor deeper.
#pragma once

#include "engine/document/bson.h"
#include "engine/document/clock.h"

namespace millrace::commands {

bool is_empty_timestamp(const engine::Field& field);
// Whether a field of the document is one.
bool has_empty_timestamp(const engine::Value& document);

// Later than any that was given before in this process. Any thread.
engine::Value next_timestamp(const engine::Clock& clock);

}  // namespace millrace::commands
