#include "commands/local/name_check.h"

namespace millrace::commands {

using engine::ErrorCode;
using engine::Status;

std::string namespace_of(std::string_view database, std::string_view collection) {
  std::string ns;
  ns.reserve(database.size() + 1 + collection.size());
  ns.append(database).append(1, '.').append(collection);
  return ns;
}

Status check_collection_name(std::string_view database, std::string_view collection) {
  std::string ns = namespace_of(database, collection);
  if (collection.empty())
    return Status(ErrorCode::kInvalidNamespace, "Invalid namespace specified '" + ns + "'");
  bool bad = collection.find('$') != collection.npos || collection.find('\0') != collection.npos ||
             collection.front() == '.' || collection.back() == '.';
  if (bad)
    return Status(ErrorCode::kInvalidNamespace, "Invalid collection name specified '" + ns + "'");
  if (ns.size() > kMaxNamespaceBytes) {
    return Status(ErrorCode::kInvalidNamespace,
                  "Fully qualified namespace is too long. Namespace: " + ns + " Max: 255");
  }
  return {};
}

Status check_read_name(std::string_view database, std::string_view collection) {
  if (collection.empty() || collection.find('$') != collection.npos)
    return check_collection_name(database, collection);
  return check_foreign_name(collection);
}

Status check_validated_name(std::string_view collection, const engine::Value& validator) {
  if (!collection.starts_with("system.") || validator.as_object().empty()) return {};
  return Status(ErrorCode::kInvalidOptions,
                "Document validators not allowed on system collection " + std::string(collection));
}

Status check_database_name(std::string_view name) {
  bool bad = name.empty() || name.size() > 63 || name.find_first_of("/\\. \"") != name.npos ||
             name.find('\0') != name.npos || (name.find('$') != name.npos && name != "$external");
  if (!bad) return {};
  return Status(ErrorCode::kInvalidNamespace, "Invalid database name: '" + std::string(name) + "'");
}

Status check_foreign_name(std::string_view collection) {
  if (collection.find('\0') != collection.npos)
    return Status(ErrorCode::kInvalidNamespace, "namespaces cannot have embedded null characters");
  if (collection.starts_with('.')) {
    return Status(ErrorCode::kInvalidNamespace,
                  "Collection names cannot start with '.': " + std::string(collection));
  }
  return {};
}

Status check_writable_name(std::string_view database, std::string_view collection) {
  if (auto status = check_collection_name(database, collection); !status.ok()) {
    if (!collection.empty())
      return Status(ErrorCode::kInvalidNamespace,
                    "Invalid collection name: " + std::string(collection));
    return status;
  }
  if (collection.starts_with("system.") && collection != "system.js" &&
      collection != "system.views" && collection != "system.users") {
    return Status(ErrorCode::kInvalidNamespace,
                  "Invalid system namespace: " + namespace_of(database, collection));
  }
  return {};
}

}  // namespace millrace::commands
