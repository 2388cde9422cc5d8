#include "commands/local/name_check.h"

namespace millrace::commands {

using engine::ErrorCode;
using engine::Status;

namespace {

constexpr size_t kMaxNamespaceBytes = 255;

}  // namespace

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
