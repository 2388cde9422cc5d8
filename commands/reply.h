// The one place where a Status becomes the error document that clients know, and where a reply gets
// its "ok".
#pragma once

#include "engine/document/bson.h"
#include "engine/document/status.h"

namespace millrace::commands {

// Writes {ok: 0.0, errmsg, code, codeName, <the fields of details>} as one whole document.
// Requires: an error. `ok` is a double like mongod's, never int64: shells compare it with 1
// (clients-wire.md rule 2).
void write_error(const engine::Status& status, engine::BsonWriter& reply,
                 const engine::Document& details = {});

// Adds the end of a successful reply to the open document: ok: 1.0.
void finish_success(engine::BsonWriter& reply);

}  // namespace millrace::commands
