#include "storage/identity.h"

#include <fmt/format.h>

#include "engine/document/bson.h"

namespace millrace::storage {

using engine::Value;

Identity make_identity(const engine::Clock* clock) {
  engine::SystemClock system;
  return {engine::ObjectId::generate().to_hex(), engine::ObjectId::generate().to_hex(),
          clock ? clock->now_ms() : system.now_ms()};
}

std::string encode_identity(const Identity& identity, int32_t format_version) {
  engine::BsonWriter writer;
  writer.begin_document();
  writer.append("product", "millrace");
  writer.append("formatVersion", format_version);
  writer.append("workspaceId", identity.workspace_id);
  writer.append("projectId", identity.project_id);
  writer.append("createdAt", Value::date(identity.created_at_ms));
  writer.end();
  return std::string(writer.bytes());
}

Result<Identity> decode_identity(std::string_view payload) {
  MR_RETURN_IF_ERROR(engine::validate_bson(payload));
  auto document = Value::bson_object(payload.data()).as_object();
  auto product = document.get("product");
  auto version = document.get("formatVersion");
  if (!product.is_string() || product.as_string() != "millrace" ||
      !version.is(engine::Type::kInt32)) {
    return Status(ErrorCode::kUnsupportedFormat, "the database file was not made by Millrace");
  }
  if (version.as_int32() > kFormatVersion) {
    return Status(ErrorCode::kUnsupportedFormat,
                  fmt::format("the data directory has format version {} and was made by a newer "
                              "Millrace; this one knows versions "
                              "up to {}. Use the newer one, or another data directory",
                              version.as_int32(), kFormatVersion));
  }
  auto workspace = document.get("workspaceId"), project = document.get("projectId"),
       created = document.get("createdAt");
  if (!workspace.is_string() || !project.is_string() || !created.is(engine::Type::kDate)) {
    return Status(ErrorCode::kUnsupportedFormat,
                  "the identity of the data directory lacks a field");
  }
  return Identity{std::string(workspace.as_string()), std::string(project.as_string()),
                  created.as_date()};
}

}  // namespace millrace::storage
