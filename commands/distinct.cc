// distinct: https://www.mongodb.com/docs/manual/reference/command/distinct/
#include <algorithm>
#include <cmath>

#include "commands/arguments.h"
#include "commands/dispatch.h"
#include "commands/handlers.h"
#include "commands/read_command.h"
#include "commands/read_concern.h"
#include "engine/document/compare.h"

namespace millrace::commands {
namespace {

using engine::ErrorCode;
using engine::Status;
using engine::Value;

// The values at a path, arrays element by element, in MongoDB's order, each once.
class DistinctValues {
 public:
  Status add(const Value& value, const std::vector<std::string_view>& parts, size_t part) {
    if (value.is_array()) {
      bool position = part < parts.size() && !parts[part].empty() &&
                      parts[part].find_first_not_of("0123456789") == std::string_view::npos;
      if (position && parts[part].size() < 10) {
        Value element = value.as_array().at(std::stoul(std::string(parts[part])));
        if (!element.is_missing()) return add(element, parts, part + 1);
      }
      for (const Value& element : value.as_array()) {
        if (part == parts.size()) {
          MR_RETURN_IF_ERROR(keep(element));
        } else if (element.is_object()) {
          MR_RETURN_IF_ERROR(add(element, parts, part));
        }
      }
      return {};
    }
    if (part == parts.size()) return value.is_missing() ? Status() : keep(value);
    return value.is_object() ? add(value.as_object().get(parts[part]), parts, part + 1) : Status();
  }
  const std::vector<Value>& values() const { return values_; }

 private:
  Status keep(const Value& value) {
    auto at =
        std::lower_bound(values_.begin(), values_.end(), value,
                         [](const Value& a, const Value& b) { return engine::compare(a, b) < 0; });
    if (at != values_.end() && engine::equal(*at, value)) return {};
    values_.insert(at, engine::deep_copy(value, arena_));
    if (arena_.capacity_bytes() > 3 * engine::kMaxDocumentBytes)
      return Status(17217, "distinct too big, 16mb cap");
    return {};
  }
  engine::Arena arena_;
  std::vector<Value> values_;
};

// The direction of $natural is looked at here alone.
Status check_hint(const Value& hint) {
  Value natural = hint.is_object() ? hint.as_object().get("$natural") : Value::missing();
  if (natural.is_missing()) return {};
  if (natural.is_number() && std::abs(natural.to_double()) == 1) return {};
  return Status(ErrorCode::kBadValue, "$natural must be 1 or -1");
}

}  // namespace

Result<Progress> cmd_distinct(Request& request, BsonWriter& reply) {
  static constexpr std::string_view kFields[] = {"key", "query", "hint", "collation"};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  MR_RETURN_IF_ERROR(check_read_concern(request));
  MR_ASSIGN_OR_RETURN(auto name, read_collection_argument(request));
  Arguments arguments("distinct", request.body);
  MR_RETURN_IF_ERROR(arguments.require("key"));
  MR_ASSIGN_OR_RETURN(Value key, arguments.string("key"));
  if (key.as_string().find('\0') != std::string_view::npos)
    return Status(31032, "Key field cannot contain an embedded null byte");
  MR_RETURN_IF_ERROR(arguments.object("query").status());
  MR_RETURN_IF_ERROR(arguments.check_collation());
  FindCommand find;
  find.collection = std::move(name);
  find.spec.command = engine::Document(request.body);
  find.spec.has_now = false;
  find.spec.filter = Arguments("distinct", find.spec.command.value()).any("query");
  MR_ASSIGN_OR_RETURN(find.spec.hint, Arguments("distinct", find.spec.command.value()).hint());
  MR_RETURN_IF_ERROR(check_hint(find.spec.hint));
  LocalDatabase& local = *request.services.database;
  MR_ASSIGN_OR_RETURN(auto stream, open_find(local, request.database, find));
  engine::NameTable names;
  MR_ASSIGN_OR_RETURN(auto path, engine::parse_field_path(key.as_string(), names));
  DistinctValues distinct;
  std::deque<std::string> documents;
  while (!stream->ended()) {
    documents.clear();
    MR_RETURN_IF_ERROR(stream->next(local.store(), 1000, documents));
    for (const auto& document : documents)
      MR_RETURN_IF_ERROR(distinct.add(Value::bson_object(document.data()), path.parts, 0));
  }
  reply.append("values", Value::array(distinct.values()));
  return Progress::kDone;
}

}  // namespace millrace::commands
