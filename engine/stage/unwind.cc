// $unwind: a document per element of an array.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/unwind/
#include <algorithm>
#include <optional>

#include "engine/expression/limits.h"
#include "engine/stage/stages.h"

namespace millrace::engine {
namespace {

// `object` with `value` at the path, or without the field if it is missing. What stands on the way
// and is no document is replaced by one.
Value with_field(const Value& object, const std::string_view* parts, size_t count,
                 const Value& value, Arena& arena) {
  std::span<const Field> own;
  if (object.is_object()) own = object_fields(object, arena);
  Field* fields = arena.allocate_array<Field>(own.size() + 1);
  std::copy(own.begin(), own.end(), fields);
  Field* end = fields + own.size();
  Field* at = std::find_if(fields, end, [&](const Field& f) { return f.has_name(parts[0]); });
  Value inner = value;
  if (count > 1)
    inner = with_field(at == end ? Value() : at->value, parts + 1, count - 1, value, arena);
  if (inner.is_missing()) {
    if (at != end) end = std::copy(at + 1, end, at);
  } else if (at != end) {
    at->value = inner;
  } else {
    new (end++) Field(parts[0], inner);
  }
  return Value::object({fields, static_cast<size_t>(end - fields)});
}

class UnwindOperator final : public Operator {
 public:
  UnwindOperator(FieldPath path, std::optional<FieldPath> index, bool preserve)
      : path_(std::move(path)), index_(std::move(index)), preserve_(preserve) {}

  std::string_view name() const override { return "UnwindOperator"; }

  // What is read of an element later is read of the array's elements now.
  void dependencies(Dependencies& dependencies) const override {
    if (index_) dependencies.fields.remove(index_->parts.data(), 1);
    if (index_ && index_->size() > 1) dependencies.fields.add(index_->parts.data(), 1);
    const PathSet* later = &dependencies.fields;
    for (size_t i = 0; i < path_.size() && later != nullptr && !later->all; ++i)
      later = later->find(path_.parts[i]);
    if (later == nullptr || later->empty()) dependencies.fields.add(path_);
  }

  void on_batch(Batch& batch, OperatorContext& context) override {
    stats.input_count += static_cast<int64_t>(batch.documents.size());
    output_.clear();
    record_ = nullptr;
    ordinal_ = 0;
    for (const StreamDocument& document : batch.documents) {
      if (document.record == nullptr || document.record != record_) {
        record_ = document.record;
        ordinal_ = 0;
      }
      size_t before = output_.size();
      try {
        unwind(document, batch.arena);
      } catch (const EvaluationError& error) {
        output_.resize(before);
        ++stats.dlq_count;
        context.dead_letters->add(document, name(), error.status().message());
      }
    }
    batch.documents.swap(output_);
    stats.output_count += static_cast<int64_t>(batch.documents.size());
  }

 private:
  // Errors: 146 when the batch becomes larger than kMaxArenaBytes: several $unwind of long arrays
  // after each other multiply.
  void unwind(const StreamDocument& document, Arena& arena) {
    Value value = document.body;
    for (size_t i = 0; i < path_.size() && !value.is_missing(); ++i) {
      value = value.is_object() ? value.as_object().get(path_.parts[i]) : Value();
    }
    if (!value.is_array()) {
      if (value.is_nullish() && !preserve_) return;
      return emit(document, document.body, Value::null(), arena);
    }
    if (value.as_array().empty()) {
      if (preserve_)
        emit(document, with_value(document.body, Value(), arena), Value::null(), arena);
      return;
    }
    Value body = document.body.is_tree() ? document.body
                                         : Value::object(object_fields(document.body, arena));
    int64_t position = 0;
    for (const Value& element : value.as_array()) {
      emit(document, with_value(body, element, arena), Value::int64(position++), arena);
    }
  }

  Value with_value(const Value& body, const Value& value, Arena& arena) const {
    return with_field(body, path_.parts.data(), path_.size(), value, arena);
  }

  void emit(const StreamDocument& from, Value body, const Value& position, Arena& arena) {
    if (index_) body = with_field(body, index_->parts.data(), index_->size(), position, arena);
    if (output_.size() * sizeof(StreamDocument) + arena.capacity_bytes() > kMaxArenaBytes)
        [[unlikely]]
      fail_evaluation(ErrorCode::kExceededMemoryLimit, "$unwind gives too many documents at once");
    StreamDocument& made = output_.emplace_back(from);
    made.body = body;
    made.ordinal = ordinal_++;
  }

  // Configuration
  FieldPath path_;
  std::optional<FieldPath> index_;
  bool preserve_;

  // Within one batch
  std::vector<StreamDocument> output_;
  const SourceRecord* record_ =
      nullptr;  // documents of one record stand together and are numbered through
  uint32_t ordinal_ = 0;
};

struct UnwindOptions {
  std::string_view path;
  std::string_view index;
  bool preserve = false;
};

Result<UnwindOptions> parse_options(const Value& spec) {
  UnwindOptions options;
  if (spec.is_string()) {
    options.path = spec.as_string();
    return options;
  }
  if (!spec.is_object()) {
    return Status(15981, "expected a string or an object as specification for $unwind stage, got " +
                             std::string(spec.type_name()));
  }
  for (const Field& field : spec.as_object()) {
    const Value& value = field.value;
    if (field.name() == "path") {
      if (!value.is_string())
        return Status(28808, "expected a string as the path for $unwind stage");
      options.path = value.as_string();
    } else if (field.name() == "includeArrayIndex") {
      if (!value.is_string() || value.as_string().empty()) {
        return Status(
            28810, "expected a non-empty string for the includeArrayIndex option to $unwind stage");
      }
      options.index = value.as_string();
      if (options.index[0] == '$')
        return Status(28822, "includeArrayIndex of $unwind must not begin with a '$'");
    } else if (field.name() == "preserveNullAndEmptyArrays") {
      if (!value.is(Type::kBool))
        return Status(
            28809, "expected a boolean for the preserveNullAndEmptyArrays option to $unwind stage");
      options.preserve = value.as_bool();
    } else {
      return Status(28811, "unrecognized option to $unwind stage: " + std::string(field.name()));
    }
  }
  return options;
}

}  // namespace

Result<OperatorPtr> parse_unwind_stage(std::string_view, const Value& spec, StageContext& context) {
  MR_ASSIGN_OR_RETURN(UnwindOptions options, parse_options(spec));
  if (options.path.empty()) return Status(28812, "no path specified to $unwind stage");
  if (options.path[0] != '$')
    return Status(28818, "path of $unwind must begin with a '$': " + std::string(options.path));
  if (options.path.find('\0') != std::string_view::npos)
    return Status(16419, "path of $unwind must not contain a null character");
  MR_ASSIGN_OR_RETURN(FieldPath path,
                      parse_field_path(options.path.substr(1), context.parse.names()));
  std::optional<FieldPath> index;
  if (!options.index.empty()) {
    MR_ASSIGN_OR_RETURN(index, parse_field_path(options.index, context.parse.names()));
  }
  return OperatorPtr(
      std::make_unique<UnwindOperator>(std::move(path), std::move(index), options.preserve));
}

}  // namespace millrace::engine
