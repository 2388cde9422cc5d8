#include "engine/match/json_schema.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>

#include "engine/document/compare.h"
#include "engine/document/decimal.h"
#include "engine/match/comparison.h"
#include "engine/match/regex_match.h"
#include "engine/match/registry.h"
#include "engine/match/schema_encryption.h"
#include "engine/match/type_set.h"

namespace millrace::engine {
namespace {

using SharedRegex = std::shared_ptr<Regex>;

Status wrong_type(std::string_view keyword, std::string_view wanted) {
  return Status(ErrorCode::kTypeMismatch, "$jsonSchema keyword '" + std::string(keyword) +
                                              "' must be " + std::string(wanted));
}
Status bad_value(std::string_view keyword, std::string_view why) {
  return Status(ErrorCode::kFailedToParse,
                "$jsonSchema keyword '" + std::string(keyword) + "' " + std::string(why));
}

// A schema below `keyword`. `of_document`: for the same value as the one that the keyword is part
// of, which is the document.
Result<SchemaPtr> parse_nested(std::string_view keyword, const Value& schema, ParseContext& context,
                               bool of_document = false) {
  if (!schema.is_object()) return wrong_type(keyword, "given a schema as an object");
  return parse_schema(schema, context, of_document);
}

Result<std::vector<SchemaPtr>> parse_schemas(std::string_view keyword, const Value& operand,
                                             ParseContext& context, bool of_document = false) {
  std::vector<SchemaPtr> schemas;
  for (const Value& element : operand.as_array()) {
    MR_ASSIGN_OR_RETURN(SchemaPtr schema, parse_nested(keyword, element, context, of_document));
    schemas.push_back(std::move(schema));
  }
  return schemas;
}

// The name of a property. One with dots is a path through documents, as the server has it (which
// walks arrays on the way too, against all sense of a schema; here they end the path).
class PropertyName {
 public:
  PropertyName(std::string_view text, NameTable& names) {
    for (size_t from = 0; from <= text.size();) {
      size_t dot = std::min(text.find('.', from), text.size());
      parts_.push_back(names.intern(text.substr(from, dot - from)));
      from = dot + 1;
    }
  }
  Value of(const Value& object) const {
    Value at = find_first(object);
    for (size_t i = 1; i < parts_.size(); ++i) {
      if (!at.is_object()) return {};
      at = at.as_object().get(parts_[i]);
    }
    return at;
  }
  bool in(const Value& object) const { return !of(object).is_missing(); }
  const std::vector<std::string_view>& parts() const { return parts_; }
  bool operator==(const PropertyName& other) const { return parts_ == other.parts_; }

 private:
  // Looks first where the field was in the last document.
  Value find_first(const Value& object) const {
    if (!object.is_tree()) return object.as_object().get(parts_[0]);
    auto fields = object.tree_fields();
    if (hint_ < fields.size() && fields[hint_].has_name(parts_[0])) return fields[hint_].value;
    for (uint32_t i = 0; i < fields.size(); ++i) {
      if (!fields[i].has_name(parts_[0])) continue;
      hint_ = i;
      return fields[i].value;
    }
    return {};
  }

  std::vector<std::string_view> parts_;
  mutable uint32_t hint_ = 0;
};

Result<std::vector<PropertyName>> parse_names(std::string_view keyword, const Value& operand,
                                              ParseContext& context) {
  if (!operand.is_array()) return wrong_type(keyword, "an array of strings");
  if (operand.as_array().empty()) return bad_value(keyword, "cannot be an empty array");
  std::vector<PropertyName> names;
  for (const Value& element : operand.as_array()) {
    if (!element.is_string()) return wrong_type(keyword, "an array of strings");
    PropertyName name(element.as_string(), context.names());
    if (std::find(names.begin(), names.end(), name) != names.end())
      return bad_value(keyword, "cannot name a value twice");
    names.push_back(std::move(name));
  }
  return names;
}

Result<int64_t> parse_count(std::string_view keyword, const Value& operand) {
  MR_ASSIGN_OR_RETURN(int64_t count, parse_integer(keyword, operand, ErrorCode::kFailedToParse));
  if (count < 0) return bad_value(keyword, "may not be negative");
  return count;
}

bool has_all(const Value& object, const std::vector<PropertyName>& names) {
  return std::all_of(names.begin(), names.end(),
                     [&](const PropertyName& name) { return name.in(object); });
}

// type, bsonType

Status no_integers() {
  return Status(ErrorCode::kFailedToParse,
                "$jsonSchema type 'integer' is not supported: use bsonType 'int' or 'long'");
}

Result<TypeSet> bson_type(std::string_view name) {
  if (name == "integer") return no_integers();
  return types_of_alias(name);
}

Result<TypeSet> json_type(std::string_view name) {
  TypeSet types;
  if (name == "integer") return no_integers();
  for (std::string_view same : {"object", "array", "number", "string", "null"}) {
    if (name == same) return types_of_alias(name);
  }
  if (name != "boolean")
    return Status(ErrorCode::kBadValue, "Unknown type name alias: " + std::string(name));
  types.add(Type::kBool);
  return types;
}

Result<TypeSet> parse_types(std::string_view name, const Value& operand) {
  auto resolve = name == "type" ? json_type : bson_type;
  if (operand.is_string()) return resolve(operand.as_string());
  if (!operand.is_array()) return wrong_type(name, "a string or an array of strings");
  TypeSet types;
  std::vector<std::string_view> seen;
  for (const Value& element : operand.as_array()) {
    if (!element.is_string()) return wrong_type(name, "an array of strings");
    if (std::find(seen.begin(), seen.end(), element.as_string()) != seen.end())
      return bad_value(name, "cannot name a type twice");
    seen.push_back(element.as_string());
    MR_ASSIGN_OR_RETURN(TypeSet more, resolve(element.as_string()));
    types.add(more);
  }
  if (types.empty()) return bad_value(name, "must name at least one type");
  return types;
}

Status parse_type(std::string_view name, const Value& operand, const ObjectView& schema,
                  ParseContext&, Schema& to) {
  if (schema.has("type") && schema.has("bsonType")) {
    return Status(ErrorCode::kFailedToParse,
                  "Cannot specify both $jsonSchema keywords 'type' and 'bsonType'");
  }
  if (schema.has("encrypt")) {
    return bad_value("encrypt",
                     "implies a type: neither 'type' nor 'bsonType' may stand beside it");
  }
  MR_ASSIGN_OR_RETURN(TypeSet types, parse_types(name, operand));
  to.add([types](const Value& value) { return types.has(value.type()); });
  return {};
}

// Numbers

Status parse_bound(std::string_view name, const Value& operand, const ObjectView& schema,
                   ParseContext& context, Schema& to) {
  if (!operand.is_number()) return wrong_type(name, "a number");
  bool is_minimum = name == "minimum";
  Value exclusive = schema.get(is_minimum ? "exclusiveMinimum" : "exclusiveMaximum");
  bool strict = exclusive.is(Type::kBool) && exclusive.as_bool();
  CompareOp op = is_minimum ? (strict ? CompareOp::kGreater : CompareOp::kGreaterOrEqual)
                            : (strict ? CompareOp::kLess : CompareOp::kLessOrEqual);
  auto comparison = std::make_shared<Comparison>(op, deep_copy(operand, context.constants()));
  to.add([comparison](const Value& value) {
    static thread_local EvalContext unused;  // a comparison reads nothing but its value
    return !value.is_number() || comparison->test(value, unused);
  });
  return {};
}

Status parse_exclusive(std::string_view name, const Value& operand, const ObjectView& schema,
                       ParseContext&, Schema&) {
  std::string_view bound = name == "exclusiveMinimum" ? "minimum" : "maximum";
  if (!schema.has(bound))
    return bad_value(name, "needs the keyword '" + std::string(bound) + "' beside it");
  if (!operand.is(Type::kBool)) return wrong_type(name, "a boolean");
  return {};
}

Decimal128 to_decimal(const Value& number) {
  if (number.is_integer()) return decimal::from_int64(number.integer_value());
  return number.is(Type::kDouble) ? decimal::from_double(number.as_double()) : number.as_decimal();
}

Status parse_multiple_of(std::string_view name, const Value& operand, const ObjectView&,
                         ParseContext&, Schema& to) {
  if (!operand.is_number()) return wrong_type(name, "a number");
  Decimal128 divisor = to_decimal(operand);
  bool nan = decimal::is_nan(divisor);
  if (!nan && (decimal::is_zero(divisor) || decimal::is_negative(divisor)))
    return bad_value(name, "must have a positive value");
  if (to.of_document()) return {};
  if (nan || decimal::is_infinite(divisor))
    return Status(ErrorCode::kBadValue, "multipleOf must be finite");
  to.add([divisor](const Value& value) {
    return !value.is_number() || decimal::is_zero(decimal::modulo(to_decimal(value), divisor));
  });
  return {};
}

// Strings

int64_t code_points(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

Status parse_length(std::string_view name, const Value& operand, const ObjectView&, ParseContext&,
                    Schema& to) {
  MR_ASSIGN_OR_RETURN(int64_t limit, parse_count(name, operand));
  bool is_maximum = name == "maxLength";
  to.add([limit, is_maximum](const Value& value) {
    if (!value.is_string()) return true;
    int64_t length = code_points(value.as_string());
    return is_maximum ? length <= limit : length >= limit;
  });
  return {};
}

Status parse_pattern(std::string_view name, const Value& operand, const ObjectView&, ParseContext&,
                     Schema& to) {
  if (!operand.is_string()) return wrong_type(name, "a string");
  if (to.of_document()) return {};  // not even compiled by the server
  MR_ASSIGN_OR_RETURN(auto compiled, compile_match_regex(operand.as_string(), ""));
  SharedRegex regex = std::move(compiled);
  to.add([regex](const Value& value) {
    return !value.is_string() || found_in(*regex, value.as_string());
  });
  return {};
}

// Arrays

Status parse_array_size(std::string_view name, const Value& operand, const ObjectView&,
                        ParseContext&, Schema& to) {
  MR_ASSIGN_OR_RETURN(int64_t limit, parse_count(name, operand));
  bool is_maximum = name == "maxItems";
  to.add([limit, is_maximum](const Value& value) {
    if (!value.is_array()) return true;
    auto size = static_cast<int64_t>(value.as_array().size());
    return is_maximum ? size <= limit : size >= limit;
  });
  return {};
}

Status parse_items(std::string_view name, const Value& operand, const ObjectView&,
                   ParseContext& context, Schema& to) {
  if (operand.is_object()) {
    MR_ASSIGN_OR_RETURN(SchemaPtr every, parse_schema(operand, context));
    to.add([every](const Value& value) {
      if (!value.is_array()) return true;
      for (const Value& element : value.as_array()) {
        if (!every->valid(element)) return false;
      }
      return true;
    });
    return {};
  }
  if (!operand.is_array()) return wrong_type(name, "an array or an object");
  MR_ASSIGN_OR_RETURN(auto schemas, parse_schemas(name, operand, context));
  to.add([schemas](const Value& value) {
    if (!value.is_array()) return true;
    size_t i = 0;
    for (const Value& element : value.as_array()) {
      if (i == schemas.size()) break;
      if (!schemas[i++]->valid(element)) return false;
    }
    return true;
  });
  return {};
}

// A boolean stands for a schema that everything or nothing satisfies.
Result<SchemaPtr> parse_additional(std::string_view name, const Value& operand,
                                   ParseContext& context) {
  if (operand.is_object()) return parse_schema(operand, context);
  if (!operand.is(Type::kBool)) return wrong_type(name, "an object or a boolean");
  auto schema = std::make_shared<Schema>();
  if (!operand.as_bool()) schema->add([](const Value&) { return false; });
  return SchemaPtr(std::move(schema));
}

Status parse_additional_items(std::string_view name, const Value& operand, const ObjectView& schema,
                              ParseContext& context, Schema& to) {
  MR_ASSIGN_OR_RETURN(SchemaPtr additional, parse_additional(name, operand, context));
  Value items = schema.get("items");
  if (!items.is_array()) return {};  // without positions nothing is additional
  size_t positions = items.as_array().size();
  to.add([additional, positions](const Value& value) {
    if (!value.is_array()) return true;
    size_t i = 0;
    for (const Value& element : value.as_array()) {
      if (i++ >= positions && !additional->valid(element)) return false;
    }
    return true;
  });
  return {};
}

struct UnorderedHash {
  size_t operator()(const Value& value) const { return hash_unordered(value); }
};
struct UnorderedEqual {
  bool operator()(const Value& a, const Value& b) const { return equal_unordered(a, b); }
};

Status parse_unique_items(std::string_view name, const Value& operand, const ObjectView&,
                          ParseContext&, Schema& to) {
  if (!operand.is(Type::kBool)) return wrong_type(name, "a boolean");
  if (!operand.as_bool()) return {};
  to.add([](const Value& value) {
    if (!value.is_array()) return true;
    std::unordered_set<Value, UnorderedHash, UnorderedEqual> seen;
    for (const Value& element : value.as_array()) {
      if (!seen.insert(element).second) return false;
    }
    return true;
  });
  return {};
}

// Objects

Status parse_object_size(std::string_view name, const Value& operand, const ObjectView&,
                         ParseContext&, Schema& to) {
  MR_ASSIGN_OR_RETURN(int64_t limit, parse_count(name, operand));
  bool is_maximum = name == "maxProperties";
  to.add([limit, is_maximum](const Value& value) {
    if (!value.is_object()) return true;
    auto size = static_cast<int64_t>(value.as_object().size());
    return is_maximum ? size <= limit : size >= limit;
  });
  return {};
}

Status parse_required(std::string_view name, const Value& operand, const ObjectView&,
                      ParseContext& context, Schema& to) {
  MR_ASSIGN_OR_RETURN(auto names, parse_names(name, operand, context));
  to.add([names](const Value& value) { return !value.is_object() || has_all(value, names); });
  return {};
}

Status parse_properties(std::string_view name, const Value& operand, const ObjectView&,
                        ParseContext& context, Schema& to) {
  if (!operand.is_object()) return wrong_type(name, "an object");
  std::vector<std::pair<PropertyName, SchemaPtr>> properties;
  for (const Field& field : operand.as_object()) {
    MR_ASSIGN_OR_RETURN(SchemaPtr schema, parse_nested(field.name(), field.value, context));
    properties.emplace_back(PropertyName(field.name(), context.names()), std::move(schema));
  }
  to.add([properties](const Value& value) {
    if (!value.is_object()) return true;
    return std::all_of(properties.begin(), properties.end(), [&](const auto& property) {
      Value v = property.first.of(value);
      return v.is_missing() || property.second->valid(v);
    });
  });
  return {};
}

Result<std::vector<std::pair<SharedRegex, SchemaPtr>>> parse_patterns(const Value& operand,
                                                                      ParseContext& context) {
  if (!operand.is_object()) return wrong_type("patternProperties", "an object");
  std::vector<std::pair<SharedRegex, SchemaPtr>> patterns;
  for (const Field& field : operand.as_object()) {
    MR_ASSIGN_OR_RETURN(SchemaPtr schema, parse_nested(field.name(), field.value, context));
    auto regex = compile_match_regex(field.name(), "");
    if (!regex.ok()) return Status(ErrorCode::kBadValue, regex.status().message());
    patterns.emplace_back(SharedRegex(std::move(regex).value()), std::move(schema));
  }
  return patterns;
}

Status parse_pattern_properties(std::string_view, const Value& operand, const ObjectView&,
                                ParseContext& context, Schema& to) {
  MR_ASSIGN_OR_RETURN(auto patterns, parse_patterns(operand, context));
  to.add([patterns](const Value& value) {
    if (!value.is_object()) return true;
    for (const Field& field : value.as_object()) {
      for (const auto& [regex, schema] : patterns) {
        if (found_in(*regex, field.name()) && !schema->valid(field.value)) return false;
      }
    }
    return true;
  });
  return {};
}

Status parse_additional_properties(std::string_view name, const Value& operand,
                                   const ObjectView& schema, ParseContext& context, Schema& to) {
  MR_ASSIGN_OR_RETURN(SchemaPtr additional, parse_additional(name, operand, context));
  std::unordered_set<std::string_view> named;
  Value properties = schema.get("properties");
  if (properties.is_object()) {
    for (const Field& field : properties.as_object())
      named.insert(context.names().intern(field.name()));
  }
  std::vector<std::pair<SharedRegex, SchemaPtr>> patterns;
  if (Value given = schema.get("patternProperties"); !given.is_missing()) {
    MR_ASSIGN_OR_RETURN(patterns, parse_patterns(given, context));
  }
  to.add([additional, named, patterns](const Value& value) {
    if (!value.is_object()) return true;
    for (const Field& field : value.as_object()) {
      bool known = named.count(field.name()) != 0 ||
                   std::any_of(patterns.begin(), patterns.end(),
                               [&](const auto& p) { return found_in(*p.first, field.name()); });
      if (!known && !additional->valid(field.value)) return false;
    }
    return true;
  });
  return {};
}

Status parse_dependencies(std::string_view name, const Value& operand, const ObjectView&,
                          ParseContext& context, Schema& to) {
  if (!operand.is_object()) return wrong_type(name, "an object");
  for (const Field& field : operand.as_object()) {
    PropertyName trigger(field.name(), context.names());
    if (field.value.is_object()) {
      MR_ASSIGN_OR_RETURN(SchemaPtr schema, parse_schema(field.value, context, to.of_document()));
      to.add([trigger, schema](const Value& v) {
        return !v.is_object() || !trigger.in(v) || schema->valid(v);
      });
    } else if (field.value.is_array()) {
      MR_ASSIGN_OR_RETURN(auto names, parse_names(name, field.value, context));
      to.add([trigger, names](const Value& v) {
        return !v.is_object() || !trigger.in(v) || has_all(v, names);
      });
    } else {
      return wrong_type(name, "an object of schemas or arrays");
    }
  }
  return {};
}

// Any type

Status parse_enum(std::string_view name, const Value& operand, const ObjectView&,
                  ParseContext& context, Schema& to) {
  if (!operand.is_array()) return wrong_type(name, "an array");
  if (operand.as_array().empty()) return bad_value(name, "cannot be an empty array");
  std::vector<Value> values;
  for (const Value& element : operand.as_array()) {
    if (std::any_of(values.begin(), values.end(),
                    [&](const Value& v) { return equal_unordered(v, element); })) {
      return bad_value(name, "cannot name a value twice");
    }
    values.push_back(deep_copy(element, context.constants()));
  }
  to.add([values](const Value& value) {
    return std::any_of(values.begin(), values.end(),
                       [&](const Value& v) { return equal_unordered(v, value); });
  });
  return {};
}

Status parse_combination(std::string_view name, const Value& operand, const ObjectView&,
                         ParseContext& context, Schema& to) {
  if (!operand.is_array()) return wrong_type(name, "an array of objects");
  if (operand.as_array().empty()) {
    return Status(ErrorCode::kBadValue,
                  "$jsonSchema keyword '" + std::string(name) + "' must be a non-empty array");
  }
  MR_ASSIGN_OR_RETURN(auto schemas, parse_schemas(name, operand, context, to.of_document()));
  auto is_valid = [](const Value& value) {
    return [&value](const SchemaPtr& schema) { return schema->valid(value); };
  };
  if (name == "allOf") {
    to.add([schemas, is_valid](const Value& v) {
      return std::all_of(schemas.begin(), schemas.end(), is_valid(v));
    });
  } else if (name == "anyOf") {
    to.add([schemas, is_valid](const Value& v) {
      return std::any_of(schemas.begin(), schemas.end(), is_valid(v));
    });
  } else {
    to.add([schemas, is_valid](const Value& v) {
      return std::count_if(schemas.begin(), schemas.end(), is_valid(v)) == 1;
    });
  }
  return {};
}

Status parse_not(std::string_view name, const Value& operand, const ObjectView&,
                 ParseContext& context, Schema& to) {
  MR_ASSIGN_OR_RETURN(SchemaPtr schema, parse_nested(name, operand, context, to.of_document()));
  to.add([schema](const Value& value) { return !schema->valid(value); });
  return {};
}

Status parse_annotation(std::string_view name, const Value& operand, const ObjectView&,
                        ParseContext&, Schema&) {
  return operand.is_string() ? Status() : wrong_type(name, "a string");
}

Status parse_encrypt(std::string_view name, const Value& operand, const ObjectView& schema,
                     ParseContext&, Schema& to) {
  if (schema.has("encryptMetadata")) {
    return Status(ErrorCode::kFailedToParse,
                  "Cannot specify both $jsonSchema keywords 'encrypt' and 'encryptMetadata'");
  }
  if (!operand.is_object()) return wrong_type(name, "an object");
  MR_ASSIGN_OR_RETURN(auto types, parse_encryption(name, operand, parse_types));
  to.add([types](const Value& value) { return is_encrypted(value, types); });
  return {};
}

Status parse_encrypt_metadata(std::string_view name, const Value& operand, const ObjectView&,
                              ParseContext&, Schema&) {
  if (!operand.is_object()) return wrong_type(name, "an object");
  if (operand.as_object().empty()) return bad_value(name, "cannot be an empty object");
  return parse_encryption(name, operand, nullptr).status();
}

// In the order in which MongoDB 6.0.5 looks at them: of several faults it reports the first.
// clang-format off
constexpr std::array kKeywords = {
    //               keyword                 parse, nullptr: refused as MongoDB does
    SchemaKeywordRow{"$ref",                 nullptr},
    SchemaKeywordRow{"$schema",              nullptr},
    SchemaKeywordRow{"default",              nullptr},
    SchemaKeywordRow{"definitions",          nullptr},
    SchemaKeywordRow{"format",               nullptr},
    SchemaKeywordRow{"id",                   nullptr},
    SchemaKeywordRow{"description",          parse_annotation},
    SchemaKeywordRow{"title",                parse_annotation},
    SchemaKeywordRow{"type",                 parse_type},
    SchemaKeywordRow{"bsonType",             parse_type},
    SchemaKeywordRow{"pattern",              parse_pattern},
    SchemaKeywordRow{"maxLength",            parse_length},
    SchemaKeywordRow{"minLength",            parse_length},
    SchemaKeywordRow{"multipleOf",           parse_multiple_of},
    SchemaKeywordRow{"exclusiveMaximum",     parse_exclusive},
    SchemaKeywordRow{"maximum",              parse_bound},
    SchemaKeywordRow{"exclusiveMinimum",     parse_exclusive},
    SchemaKeywordRow{"minimum",              parse_bound},
    SchemaKeywordRow{"minItems",             parse_array_size},
    SchemaKeywordRow{"maxItems",             parse_array_size},
    SchemaKeywordRow{"uniqueItems",          parse_unique_items},
    SchemaKeywordRow{"items",                parse_items},
    SchemaKeywordRow{"additionalItems",      parse_additional_items},
    SchemaKeywordRow{"encrypt",              parse_encrypt},
    SchemaKeywordRow{"encryptMetadata",      parse_encrypt_metadata},
    SchemaKeywordRow{"required",             parse_required},
    SchemaKeywordRow{"properties",           parse_properties},
    SchemaKeywordRow{"patternProperties",    parse_pattern_properties},
    SchemaKeywordRow{"additionalProperties", parse_additional_properties},
    SchemaKeywordRow{"minProperties",        parse_object_size},
    SchemaKeywordRow{"maxProperties",        parse_object_size},
    SchemaKeywordRow{"dependencies",         parse_dependencies},
    SchemaKeywordRow{"allOf",                parse_combination},
    SchemaKeywordRow{"anyOf",                parse_combination},
    SchemaKeywordRow{"oneOf",                parse_combination},
    SchemaKeywordRow{"not",                  parse_not},
    SchemaKeywordRow{"enum",                 parse_enum},
};
// clang-format on

const SchemaKeywordRow* find_keyword(std::string_view name) {
  for (const SchemaKeywordRow& row : kKeywords) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

class SchemaPredicate final : public Predicate {
 public:
  // `needs`: what the schema reads of the document.
  SchemaPredicate(SchemaPtr schema, PathSet needs)
      : schema_(std::move(schema)), needs_(std::move(needs)) {}
  bool matches(const Value& document, EvalContext&) const override {
    return schema_->valid(document);
  }
  void add_dependencies(Dependencies& dependencies) const override {
    dependencies.fields.add(needs_);
  }

 private:
  SchemaPtr schema_;
  PathSet needs_;
};

// The fields of the document that a schema at its top level looks at; the whole document where a
// keyword sees more than named fields.
void collect_needs(const ObjectView& schema, ParseContext& context, PathSet& needs) {
  auto need = [&](std::string_view name) {
    PropertyName property(name, context.names());
    needs.add(property.parts().data(), property.parts().size());
  };
  for (const Field& field : schema) {
    std::string_view keyword = field.name();
    if (keyword == "properties") {
      for (const Field& property : field.value.as_object()) need(property.name());
    } else if (keyword == "required") {
      for (const Value& name : field.value.as_array()) need(name.as_string());
    } else if (keyword == "allOf" || keyword == "anyOf" || keyword == "oneOf") {
      for (const Value& part : field.value.as_array())
        collect_needs(part.as_object(), context, needs);
    } else if (keyword == "not") {
      collect_needs(field.value.as_object(), context, needs);
    } else if (keyword == "additionalProperties" || keyword == "patternProperties" ||
               keyword == "minProperties" || keyword == "maxProperties" ||
               keyword == "dependencies" || keyword == "enum") {
      needs.add_all();
    }
  }
}

Result<PredicatePtr> parse_json_schema(std::string_view name, const Value& operand,
                                       QueryParse& parse) {
  if (!operand.is_object())
    return Status(ErrorCode::kTypeMismatch, std::string(name) + " must be an object");
  MR_ASSIGN_OR_RETURN(SchemaPtr schema, parse_schema(operand, parse.context, true));
  PathSet needs;
  collect_needs(operand.as_object(), parse.context, needs);
  return PredicatePtr(std::make_unique<SchemaPredicate>(std::move(schema), std::move(needs)));
}

constexpr std::array kJsonSchemaQueries = {
    QueryRow{"$jsonSchema", parse_json_schema, nullptr, "query/jsonSchema"},
};

}  // namespace

std::span<const SchemaKeywordRow> schema_keywords() { return kKeywords; }
std::span<const QueryRow> json_schema_queries() { return kJsonSchemaQueries; }

Result<SchemaPtr> parse_schema(const Value& schema, ParseContext& context, bool of_document) {
  auto compiled = std::make_shared<Schema>(of_document);
  ObjectView keywords = schema.as_object();
  std::set<std::string_view> seen;
  for (const Field& field : keywords) {
    const SchemaKeywordRow* row = find_keyword(field.name());
    if (row == nullptr) {
      return Status(ErrorCode::kFailedToParse,
                    "Unknown $jsonSchema keyword: " + std::string(field.name()));
    }
    if (row->parse == nullptr) {
      return Status(ErrorCode::kFailedToParse,
                    "$jsonSchema keyword '" + std::string(field.name()) + "' is not supported");
    }
    if (!seen.insert(row->name).second) {
      return Status(ErrorCode::kFailedToParse,
                    "Duplicate $jsonSchema keyword: " + std::string(field.name()));
    }
  }
  for (const SchemaKeywordRow& row : kKeywords) {
    Value operand = keywords.get(row.name);
    if (operand.is_missing()) continue;
    MR_RETURN_IF_ERROR(row.parse(row.name, operand, keywords, context, *compiled));
  }
  return SchemaPtr(std::move(compiled));
}

}  // namespace millrace::engine
