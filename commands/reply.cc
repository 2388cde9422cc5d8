#include "commands/reply.h"

namespace millrace::commands {

void write_error(const engine::Status& status, engine::BsonWriter& reply,
                 const engine::Document& details) {
  reply.begin_document();
  reply.append("ok", 0.0);
  reply.append("errmsg", engine::with_valid_utf8(status.message()));
  reply.append("code", status.code());
  reply.append("codeName", engine::code_name(status.code()));
  for (const auto& field : details.view()) reply.append(field.name(), field.value);
  reply.end();
}

void finish_success(engine::BsonWriter& reply) { reply.append("ok", 1.0); }

}  // namespace millrace::commands
