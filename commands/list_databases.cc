// listDatabases: https://www.mongodb.com/docs/manual/reference/command/listDatabases/
#include <map>

#include "commands/arguments.h"
#include "commands/dispatch.h"
#include "commands/filter.h"
#include "commands/handlers.h"
#include "commands/local/collection_stats.h"

namespace millrace::commands {
namespace {

using engine::Value;

Result<std::map<std::string, int64_t>> database_sizes(LocalDatabase& local) {
  MR_ASSIGN_OR_RETURN(auto txn, local.store().read());
  MR_ASSIGN_OR_RETURN(auto collections, list_collections(*txn));
  std::map<std::string, int64_t> sizes;
  for (const auto& collection : collections) {
    MR_ASSIGN_OR_RETURN(auto size, measure(*txn, &collection));
    sizes[collection.database] += size.storage_bytes + size.total_index_bytes();
  }
  return sizes;
}

}  // namespace

Result<Progress> cmd_list_databases(Request& request, BsonWriter& reply) {
  static constexpr std::string_view kFields[] = {"filter", "nameOnly", "authorizedDatabases"};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  Arguments arguments("listDatabases", request.body);
  MR_ASSIGN_OR_RETURN(bool name_only, arguments.boolean("nameOnly", false));
  MR_RETURN_IF_ERROR(arguments.object("filter").status());
  MR_RETURN_IF_ERROR(arguments.boolean("authorizedDatabases", false).status());
  MR_ASSIGN_OR_RETURN(auto filter, Filter::parse(request.get("filter")));
  MR_ASSIGN_OR_RETURN(auto sizes, database_sizes(*request.services.database));
  reply.begin_array("databases");
  size_t index = 0;
  int64_t total = 0;
  for (const auto& [name, bytes] : sizes) {
    BsonWriter entry;
    entry.begin_document();
    entry.append("name", name);
    if (!name_only) {
      entry.append("sizeOnDisk", bytes);
      entry.append("empty", false);
    }
    entry.end();
    Value shown = Value::bson_object(entry.bytes().data());
    MR_ASSIGN_OR_RETURN(bool wanted, filter.matches(shown));
    if (!wanted) continue;
    total += bytes;
    reply.append_element(index++, shown);
  }
  reply.end();
  if (!name_only) {
    reply.append("totalSize", total);
    reply.append("totalSizeMb", total / (1 << 20));
  }
  return Progress::kDone;
}

}  // namespace millrace::commands
