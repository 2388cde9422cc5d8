#include "commands/local/index_keys.h"

#include <fmt/format.h>

#include <algorithm>

#include "commands/local/key_bytes.h"
#include "engine/document/array_position.h"
#include "engine/document/decimal.h"

namespace millrace::commands {

using engine::Document;
using engine::Result;
using engine::Status;
using engine::Type;
using engine::Value;

namespace {

constexpr int kCannotIndexParallelArrays = 171;

// Walks all fields of an index at once, so that fields below one array are paired element by
// element.
class KeyExpansion {
 public:
  KeyExpansion(const IndexInfo& index, std::vector<IndexKey>& keys) : index_(index), keys_(keys) {}

  struct At {
    Value value;
    size_t part = 0;        // of the path, the next to be taken
    bool resolved = false;  // `value` is the key's value
  };

  Status expand(std::vector<At> fields) {
    const void* array = nullptr;
    size_t first_array = 0;
    for (size_t i = 0; i < fields.size(); ++i) {
      walk(fields[i], index_.fields[i]);
      if (fields[i].resolved) continue;
      if (array == nullptr) {
        array = fields[i].value.address();
        first_array = i;
      } else if (fields[i].value.address() != array) {
        return Status(kCannotIndexParallelArrays, "cannot index parallel arrays [" + last_part(i) +
                                                      "] [" + last_part(first_array) + "]");
      }
    }
    if (array == nullptr) {
      emit(fields);
      return {};
    }
    return expand_array(fields, fields[first_array].value);
  }

 private:
  std::string last_part(size_t field) const { return index_.fields[field].parts.front(); }

  // Until the path's end or an array on it.
  static void walk(At& at, const IndexField& field) {
    while (!at.resolved) {
      if (at.value.is_array()) {
        if (at.part == field.parts.size()) return;
        auto position =
            engine::array_position(field.parts[at.part], engine::LeadingZeros::kAccepted);
        if (!position) return;
        at.value = at.value.as_array().at(*position);
        ++at.part;
      } else if (at.part == field.parts.size()) {
        at.resolved = true;
      } else if (at.value.is_object()) {
        at.value = at.value.as_object().get(field.parts[at.part++]);
      } else {
        at.value = Value::missing();
        at.resolved = true;
      }
    }
  }

  Status expand_array(const std::vector<At>& fields, const Value& array) {
    bool any = false;
    for (const Value& element : array.as_array()) {
      any = true;
      MR_RETURN_IF_ERROR(expand(with_element(fields, element)));
    }
    return any ? Status() : expand(with_element(fields, Value::missing()));
  }

  // An element that is an array itself is a value, not looked into. Nothing: the array is empty,
  // which an index holds as undefined.
  std::vector<At> with_element(std::vector<At> fields, const Value& element) const {
    for (size_t i = 0; i < fields.size(); ++i) {
      if (fields[i].resolved) continue;
      bool leaf = fields[i].part == index_.fields[i].parts.size();
      fields[i].value = leaf ? (element.is_missing() ? Value::undefined() : element)
                             : (element.is_object() ? element : Value::missing());
      fields[i].resolved = leaf || !element.is_object();
    }
    return fields;
  }

  void emit(const std::vector<At>& fields) {
    IndexKey key;
    bool all_missing = true;
    for (size_t i = 0; i < fields.size(); ++i) {
      all_missing = all_missing && fields[i].value.is_missing();
      append_key_bytes(key.bytes, fields[i].value, index_.fields[i].descending);
      key.values.push_back(fields[i].value);
    }
    if (!(index_.sparse && all_missing)) keys_.push_back(std::move(key));
  }

  const IndexInfo& index_;
  std::vector<IndexKey>& keys_;
};

void append_text(std::string& out, const Value& value);

std::string double_text(double number) {
  std::string text = fmt::format("{:.16g}", number);
  bool plain = text.find('.') == text.npos;  // the server adds ".0" even to nan and to 1e+20
  return plain ? text + ".0" : text;
}

void append_container(std::string& out, const Value& value) {
  bool first = true;
  if (value.is_object()) {
    out += "{";
    for (const auto& field : value.as_object()) {
      out += first ? " " : ", ";
      first = false;
      out.append(field.name()).append(": ");
      append_text(out, field.value);
    }
    out += first ? "}" : " }";
    return;
  }
  out += "[";
  for (const Value& element : value.as_array()) {
    out += first ? " " : ", ";
    first = false;
    append_text(out, element);
  }
  out += first ? "]" : " ]";
}

void append_text(std::string& out, const Value& value) {
  switch (value.type()) {
    case Type::kInt32:
      out += std::to_string(value.as_int32());
      return;
    case Type::kInt64:
      out += std::to_string(value.as_int64());
      return;
    case Type::kDouble:
      out += double_text(value.as_double());
      return;
    case Type::kDecimal:
      out += engine::decimal::to_string(value.as_decimal());
      return;
    case Type::kString:
    case Type::kSymbol:
      out.append("\"").append(value.as_string()).append("\"");
      return;
    case Type::kCode:
      out.append(value.as_string());
      return;
    case Type::kObject:
    case Type::kArray:
      append_container(out, value);
      return;
    case Type::kBinData:
      out += fmt::format("BinData({}, ", int{value.binary_subtype()});
      for (unsigned char byte : value.as_string()) out += fmt::format("{:02X}", byte);
      out += ")";
      return;
    case Type::kObjectId:
      out += "ObjectId('" + value.as_object_id().to_hex() + "')";
      return;
    case Type::kBool:
      out += value.as_bool() ? "true" : "false";
      return;
    case Type::kDate:
      out += fmt::format("new Date({})", value.as_date());
      return;
    case Type::kTimestamp:
      out +=
          fmt::format("Timestamp({}, {})", value.timestamp_seconds(), value.timestamp_increment());
      return;
    case Type::kRegex:
      out += fmt::format("/{}/{}", value.as_regex().pattern, value.as_regex().options);
      return;
    case Type::kDBPointer:
      out += fmt::format("DBRef('{}',{})", value.as_db_pointer().ns,
                         value.as_db_pointer().id->to_hex());
      return;
    case Type::kCodeWScope:
      out.append(value.as_code_w_scope().code);
      return;
    case Type::kMinKey:
      out += "MinKey";
      return;
    case Type::kMaxKey:
      out += "MaxKey";
      return;
    case Type::kUndefined:
      out += "undefined";
      return;
    case Type::kMissing:
    case Type::kNull:
      out += "null";
      return;
  }
}

}  // namespace

Result<std::vector<IndexKey>> index_keys(const IndexInfo& index, const Value& document) {
  std::vector<IndexKey> keys;
  std::vector<KeyExpansion::At> fields(index.fields.size());
  for (auto& field : fields) field.value = document;
  MR_RETURN_IF_ERROR(KeyExpansion(index, keys).expand(std::move(fields)));
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

Document key_document(const IndexInfo& index, const std::vector<Value>& values) {
  engine::BsonWriter writer;
  writer.begin_document();
  for (size_t i = 0; i < values.size(); ++i) {
    writer.append(index.fields[i].path, values[i].is_missing() ? Value::null() : values[i]);
  }
  writer.end();
  return Document(writer.bytes());
}

std::string shell_text(const Value& value) {
  std::string text;
  append_text(text, value);
  return text;
}

Status duplicate_key_error(const Collection& collection, const IndexInfo& index,
                           const std::vector<Value>& values) {
  return Status(engine::ErrorCode::kDuplicateKey,
                "E11000 duplicate key error collection: " + collection.ns() + " index: " +
                    index.name + " dup key: " + shell_text(key_document(index, values).value()));
}

}  // namespace millrace::commands
