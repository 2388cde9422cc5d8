// listCollections: https://www.mongodb.com/docs/manual/reference/command/listCollections/
#include "commands/arguments.h"
#include "commands/cursor_reply.h"
#include "commands/dispatch.h"
#include "commands/filter.h"
#include "commands/handlers.h"
#include "commands/local/local_database.h"

namespace millrace::commands {
namespace {

engine::Document describe(const Collection& collection, bool name_only) {
  BsonWriter entry;
  entry.begin_document();
  entry.append("name", collection.name);
  entry.append("type", collection.view ? "view" : "collection");
  if (!name_only) {
    entry.append("options", collection.options.value());
    entry.begin_object("info");
    entry.append("readOnly", collection.view);
    if (!collection.view) entry.append("uuid", engine::Value::binary(4, collection.uuid));
    entry.end();
    if (!collection.view) entry.append("idIndex", collection.indexes.front().spec.value());
  }
  entry.end();
  return engine::Document(entry.bytes());
}

}  // namespace

Result<Progress> cmd_list_collections(Request& request, BsonWriter& reply) {
  static constexpr std::string_view kFields[] = {"filter", "nameOnly", "cursor",
                                                 "authorizedCollections"};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  Arguments arguments("listCollections", request.body);
  MR_ASSIGN_OR_RETURN(bool name_only, arguments.boolean("nameOnly", false));
  MR_RETURN_IF_ERROR(arguments.object("filter").status());
  MR_RETURN_IF_ERROR(arguments.boolean("authorizedCollections", false).status());
  MR_ASSIGN_OR_RETURN(auto options, read_cursor_options(request));
  MR_ASSIGN_OR_RETURN(auto filter, Filter::parse(request.get("filter")));
  std::vector<Collection> collections;
  {
    MR_ASSIGN_OR_RETURN(auto txn, request.services.database->store().read());
    MR_ASSIGN_OR_RETURN(collections, list_collections(*txn, request.database));
  }
  std::vector<engine::Document> entries;
  for (const auto& collection : collections) {
    auto shown = describe(collection, name_only);  // with nameOnly a filter sees no options either
    MR_ASSIGN_OR_RETURN(bool wanted, filter.matches(shown.value()));
    if (wanted) entries.push_back(std::move(shown));
  }
  MR_RETURN_IF_ERROR(write_first_batch(request, stream_of(entries),
                                       std::string(request.database) + ".$cmd.listCollections",
                                       options, reply));
  return Progress::kDone;
}

}  // namespace millrace::commands
