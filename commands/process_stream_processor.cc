// https://www.mongodb.com/docs/manual/reference/method/sp.process/
#include "commands/handlers.h"
#include "commands/services.h"
#include "commands/stream_options.h"

namespace millrace::commands {

Result<Progress> cmd_process_stream_processor(Request& request, BsonWriter& reply) {
  MR_ASSIGN_OR_RETURN(Options options, Options::read(request, {},
                                                     {"dlq", "limit", "streamMetaFieldName", "tier",
                                                      "failover", "autoscaling"}));
  engine::CreateOptions create;
  MR_ASSIGN_OR_RETURN(create.pipeline, wrap_pipeline(request.argument()));
  MR_RETURN_IF_ERROR(read_definition_options(options, &create));
  const engine::WorkspaceSettings& workspace = request.services.processors->workspace();
  MR_RETURN_IF_ERROR(check_tier_allowed(
      workspace, create.tier.empty() ? workspace.default_tier : create.tier, create.autoscaling));
  MR_ASSIGN_OR_RETURN(int64_t limit, options.integer("limit", 0));
  if (limit < 0)
    return engine::Status(engine::ErrorCode::kInvalidOptions, "limit must not be negative");
  MR_ASSIGN_OR_RETURN(auto cursor,
                      request.services.processors->process(create, limit, owner_of(request)));
  reply.append("name", cursor->processor());
  reply.append("cursorId", cursor->id());
  return Progress::kDone;
}

}  // namespace millrace::commands
