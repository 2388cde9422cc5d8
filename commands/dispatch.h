// From a request to its reply: finds the row, checks what holds for every command, runs the
// handler. Any thread.
#pragma once

#include <string_view>
#include <utility>

#include "commands/command.h"
#include "commands/services.h"

namespace millrace::commands {

// True if running it never blocks: the caller may stay on its I/O thread. Unknown and unsupported
// commands never do.
bool runs_inline(const CommandRow* row);

struct Outcome {
  Progress progress = Progress::kDone;
  bool ok = false;  // kDone: the reply says ok: 1
};

// Runs one attempt of `request`; `row` is what find_command() gave for its name. It overwrites
// `reply`: on kDone that is one whole document, success or error; on kWait it is of no use. No
// exception leaves it. Errors: 59 CommandNotFound, 115 CommandNotSupported, 13 Unauthorized (admin
// only), 73 InvalidNamespace, 322 APIVersionError, 20 IllegalOperation (txnNumber), and the
// handler's own.
Outcome run_command(const CommandRow* row, Request& request, engine::BsonWriter& reply);

// True for the fields that any command may carry besides its own ($db, lsid, comment, …): a handler
// that refuses unknown fields skips them.
bool is_generic_argument(std::string_view field);

// 40415 for the first field of the body that is neither `known` nor generic; the command's own name
// does not count.
template <size_t N>
engine::Status refuse_unknown_fields(const Request& request, const std::string_view (&known)[N]);

// The 16 bytes of the request's logical session (lsid.id), empty if it has none.
std::string_view session_id(const Request& request);

engine::Status unknown_field(const Request& request, std::string_view field);

template <size_t N>
engine::Status refuse_unknown_fields(const Request& request, const std::string_view (&known)[N]) {
  bool first = true;
  for (const auto& field : request.body.as_object()) {
    if (std::exchange(first, false) || is_generic_argument(field.name())) continue;
    bool found = false;
    for (auto name : known) found = found || field.has_name(name);
    if (!found) return unknown_field(request, field.name());
  }
  return {};
}

}  // namespace millrace::commands
