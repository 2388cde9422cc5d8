// sp.listWorkspaceDefaults(): the tiers that processors get and may get.
#include "commands/handlers.h"
#include "commands/services.h"
#include "commands/stream_options.h"

namespace millrace::commands {

Result<Progress> cmd_list_workspace_defaults(Request& request, BsonWriter& reply) {
  MR_RETURN_IF_ERROR(Options::read(request, {}, {}).status());
  const engine::WorkspaceSettings& workspace = request.services.processors->workspace();
  reply.append("defaultTierSize", workspace.default_tier);
  reply.append("maxTierSize", workspace.max_tier);
  return Progress::kDone;
}

}  // namespace millrace::commands
