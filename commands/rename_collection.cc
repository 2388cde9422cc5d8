// renameCollection: https://www.mongodb.com/docs/manual/reference/command/renameCollection/
#include "commands/arguments.h"
#include "commands/dispatch.h"
#include "commands/handlers.h"
#include "commands/local/local_database.h"
#include "commands/local/name_check.h"

namespace millrace::commands {
namespace {

using engine::ErrorCode;
using engine::Status;
using engine::Value;

struct Name {
  std::string database;
  std::string collection;
};

Result<Name> split_namespace(const Value& value, const Arguments& arguments,
                             std::string_view field) {
  if (!value.is_string()) return arguments.wrong_type(field, "string");
  std::string_view ns = value.as_string();
  size_t dot = ns.find('.');
  if (dot == ns.npos || dot == 0)
    return Status(ErrorCode::kInvalidNamespace,
                  "Invalid namespace specified '" + std::string(ns) + "'");
  Name name{std::string(ns.substr(0, dot)), std::string(ns.substr(dot + 1))};
  MR_RETURN_IF_ERROR(check_collection_name(name.database, name.collection));
  return name;
}

}  // namespace

Result<Progress> cmd_rename_collection(Request& request, BsonWriter&) {
  static constexpr std::string_view kFields[] = {"to", "dropTarget", "stayTemp"};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  Arguments arguments("renameCollection", request.body);
  MR_RETURN_IF_ERROR(arguments.require("to"));
  MR_ASSIGN_OR_RETURN(auto from,
                      split_namespace(request.argument(), arguments, "renameCollection"));
  MR_ASSIGN_OR_RETURN(auto to, split_namespace(arguments.any("to"), arguments, "to"));
  MR_RETURN_IF_ERROR(check_writable_name(to.database, to.collection));
  MR_ASSIGN_OR_RETURN(bool drop_target, arguments.boolean("dropTarget", false));
  if (from.database == to.database && from.collection == to.collection) {
    return Status(ErrorCode::kIllegalOperation, "Can't rename a collection to itself");
  }
  MR_RETURN_IF_ERROR(
      request.services.database->store().write([&](storage::WriteTransaction& txn) -> Status {
        MR_ASSIGN_OR_RETURN(auto source, find_collection(txn, from.database, from.collection));
        if (!source) {
          return Status(ErrorCode::kNamespaceNotFound,
                        "Source collection " + namespace_of(from.database, from.collection) +
                            " does not exist");
        }
        MR_RETURN_IF_ERROR(refuse_view(*source));
        MR_ASSIGN_OR_RETURN(auto target, find_collection(txn, to.database, to.collection));
        if (target && !drop_target)
          return Status(ErrorCode::kNamespaceExists, "target namespace exists");
        if (target) MR_RETURN_IF_ERROR(erase_collection(txn, *target));
        MR_RETURN_IF_ERROR(storage::erase_catalog_entry(txn, source->ns()).status());
        source->database = to.database;
        source->name = to.collection;
        return save_collection(txn, *source);
      }));
  return Progress::kDone;
}

}  // namespace millrace::commands
