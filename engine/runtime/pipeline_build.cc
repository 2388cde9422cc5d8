// Building a Pipeline: placement of stages, the ends, which metadata stands in documents, and what
// must be decoded.
#include <algorithm>

#include "engine/runtime/pipeline.h"
#include "engine/runtime/stand_ins.h"
#include "engine/sink/normalize.h"

namespace millrace::engine {
namespace {

constexpr size_t kMaxPipelineBytes =
    16 << 20;  // "Pipeline definition" limit of the Atlas Stream Processing documentation

Status invalid(std::string message) {
  return Status(ErrorCode::kStreamProcessorInvalidOptions, std::move(message));
}

// True if `text` is a path rooted at `name`: "name", "name.x", "$name", "$name.x", "$$ROOT.name",
// "$$CURRENT.name".
bool refers_to(std::string_view text, std::string_view name) {
  for (std::string_view prefix : {"$$ROOT.", "$$CURRENT.", "$"}) {
    if (text.starts_with(prefix)) {
      text.remove_prefix(prefix.size());
      break;
    }
  }
  return text.starts_with(name) && (text.size() == name.size() || text[name.size()] == '.');
}

// True if any string or field name in `value` refers to `name`. Removing it ($unset, $project:
// {name: 0}) is no reference: it is what pipelines do that want to be rid of it.
bool mentions(const Value& value, std::string_view name) {
  if (value.is_string()) return refers_to(value.as_string(), name);
  if (value.is_array()) {
    for (const Value& element : value.as_array()) {
      if (mentions(element, name)) return true;
    }
  }
  if (value.is_object()) {
    for (const Field& field : value.as_object()) {
      if (field.name() == "$unset" || field.name() == "$literal") continue;
      bool removed = field.value.is_number() && field.value.to_double() == 0;
      if ((refers_to(field.name(), name) && !removed) || mentions(field.value, name)) return true;
    }
  }
  return false;
}

// True if a stage takes `name` out by name: {$unset: "name"}, {$unset: [..., "name"]}, {$project:
// {name: 0}}.
bool removes(const Value& stages, std::string_view name) {
  for (const Value& stage : stages.as_array()) {
    if (!stage.is_object() || stage.as_object().empty()) continue;
    Field field = *stage.as_object().begin();
    if (field.name() == "$unset") {
      if (field.value.is_string() && field.value.as_string() == name) return true;
      if (!field.value.is_array()) continue;
      for (const Value& element : field.value.as_array()) {
        if (element.is_string() && element.as_string() == name) return true;
      }
    } else if (field.name() == "$project" && field.value.is_object()) {
      Value shown = field.value.as_object().get(name);
      if (!shown.is_missing() && !shown.truthy()) return true;
    }
  }
  return false;
}

}  // namespace

Result<std::unique_ptr<Pipeline>> Pipeline::build(const PipelineSpec& spec,
                                                  const PipelineEnvironment& environment) {
  std::unique_ptr<Pipeline> pipeline(new Pipeline(environment));
  MR_RETURN_IF_ERROR(pipeline->build_stages(spec, environment));
  return pipeline;
}

Status Pipeline::build_stages(const PipelineSpec& spec, const PipelineEnvironment& environment) {
  Value stages = spec.pipeline.get("pipeline");
  if (!stages.is_array())
    return Status(ErrorCode::kTypeMismatch, "a pipeline must be an array of stages");
  if (spec.pipeline.bytes().size() > kMaxPipelineBytes)
    return invalid("a pipeline definition is at most 16 MB");
  Arena scratch;
  std::span<const Value> elements = stages.as_array().elements(scratch);
  if (elements.empty())
    return Status(ErrorCode::kFailedToParse, "a stream processor's pipeline must not be empty");
  MR_RETURN_IF_ERROR(check_stage_count(elements.size()));

  size_t begin = 0;
  size_t end = elements.size();
  if (spec.source_and_sink) {
    MR_ASSIGN_OR_RETURN(Field first, stage_of(elements[0]));
    if (first.name() != "$source")
      return invalid("the first stage of a stream processor must be $source");
    SourceEnvironment source_environment{
        *environment.connections, environment.clusters,        clock_,
        spec.processor_id,        spec.start_position.value(), environment.stand_ins};
    MR_ASSIGN_OR_RETURN(source_, parse_source_stage(first.value, source_environment, parse_));
    source_type_ = source_.source->type();
    source_name_ = source_.source->name();
    watermarks_.set_partition_idle_timeout(source_.partition_idle_timeout_ms);
    begin = 1;
    std::optional<Field> sink;
    if (elements.size() > 1) {
      MR_ASSIGN_OR_RETURN(Field last, stage_of(elements.back()));
      if (is_sink_stage(last.name())) sink = last;
    }
    if (sink) {
      --end;
      MR_RETURN_IF_ERROR(build_sink(*sink, environment));
    } else if (spec.needs_sink) {
      return invalid("the last stage of a stream processor must be $merge, $emit or another sink");
    }
  }
  ArrayBuilder middle(scratch, end - begin);
  for (size_t i = begin; i < end; ++i) middle.add(elements[i]);
  StageContext stage_context{parse_, builder_, Place::kMain};
  MR_ASSIGN_OR_RETURN(operators_, builder_.build(middle.finish(), Place::kMain, stage_context));
  for (size_t i = 0; i < operators_.size(); ++i) {
    if (operators_[i]->stateless()) continue;
    has_window_ = true;
    window_index_ = i;
    window_ = dynamic_cast<WindowStage*>(operators_[i].get());
    if (window_ != nullptr) window_->set_source_type(source_type_);
  }
  if (!spec.source_and_sink && has_window_ && !spec.time_field.view().empty()) {
    MR_ASSIGN_OR_RETURN(source_.time_field, parse_expression(spec.time_field.value(), parse_));
  }
  latencies_.resize(operators_.size());
  context_.eval.variables.resize(parse_.variable_count());
  make_source_meta();
  plan_metadata(spec, stages);
  plan_decoding();
  return {};
}

Status Pipeline::build_sink(const Field& stage, const PipelineEnvironment& environment) {
  MR_ASSIGN_OR_RETURN(Document normalized, normalize_sink(stage.name(), stage.value));
  Value spec = normalized.value();
  if (!spec.is_object()) return invalid(std::string(stage.name()) + " must be an object");
  Value name = stage.name() == "$merge"
                   ? spec.as_object().get("into").is_object()
                         ? spec.as_object().get("into").as_object().get("connectionName")
                         : Value()
                   : spec.as_object().get("connectionName");
  if (!name.is_string()) {
    return invalid(std::string(stage.name()) + (stage.name() == "$merge"
                                                    ? " needs into.connectionName"
                                                    : " needs connectionName"));
  }
  ConnectionPtr connection;
  std::string_view type;
  if (!(stage.name() == "$emit" && name.as_string() == "__testLog")) {
    MR_ASSIGN_OR_RETURN(connection, environment.connections->find(name.as_string()));
    type = connection->type->name;
  }
  const SinkRow* row = nullptr;
  for (const SinkRow& candidate : sink_rows()) {
    if (candidate.stage == stage.name() && candidate.connection_type == type) row = &candidate;
  }
  if (row == nullptr) {
    return invalid(std::string(stage.name()) + " cannot write to a connection of type " +
                   std::string(type));
  }
  if (row->parse == nullptr) {
    return invalid(std::string(stage.name()) + " to a connection of type " + std::string(type) +
                   " is not supported by Millrace yet");
  }
  StageContext stage_context{parse_, builder_, Place::kUpdate};
  SinkContext context{spec, connection, environment.clusters, parse_, stage_context, clock_};
  MR_ASSIGN_OR_RETURN(sink_, row->parse(context));
  if (environment.stand_ins != nullptr) {
    auto writer = environment.stand_ins->sink_writer(stage.name(), connection.get(), *sink_.writer);
    if (writer != nullptr) sink_.writer = std::move(writer);
  }
  return {};
}

// Design section 5, point 1: `_ts` and `_stream_meta` stand in documents where a later stage or
// sink option names them, where an option asks for them, and always in the output of a pipeline
// without a sink.
void Pipeline::plan_metadata(const PipelineSpec& spec, const Value& stages) {
  bool shown = spec.source_and_sink && sink_.encoder == nullptr;
  auto named = [&](std::string_view name) {
    size_t index = 0;
    for (const Value& stage : stages.as_array()) {
      if (index++ > 0 && mentions(stage, name)) return true;
    }
    return false;
  };
  auto wanted = [&](std::string_view name) {
    if (spec.metadata == StreamMetadata::kNever || !spec.source_and_sink) return false;
    return spec.metadata == StreamMetadata::kAlways || shown || named(name);
  };
  if (!source_.ts_field.empty()) {
    ts_name_ = source_.ts_field;
  } else if (wanted("_ts")) {
    ts_name_ = "_ts";
  }
  if (!spec.stream_meta_field.empty()) {
    meta_name_ = spec.stream_meta_field;
  } else if (wanted("_stream_meta")) {
    meta_name_ = "_stream_meta";
  }
  if (!ts_name_.empty()) ts_name_ = parse_.names().intern(ts_name_);
  if (!meta_name_.empty()) meta_name_ = parse_.names().intern(meta_name_);
  bool survives =
      spec.metadata == StreamMetadata::kAlways || (shown && spec.metadata == StreamMetadata::kAuto);
  if (survives && !operators_.empty()) {
    if (!removes(stages, ts_name_)) ts_name_at_end_ = ts_name_;
    if (!removes(stages, meta_name_)) meta_name_at_end_ = meta_name_;
  }
}

void Pipeline::plan_decoding() {
  Dependencies needed;
  if (sink_.encoder != nullptr) {
    sink_.encoder->dependencies(needed);
  } else {
    needed.fields.add_all();
  }
  for (size_t i = operators_.size(); i-- > 0;) operators_[i]->dependencies(needed);
  needs_meta_ = needed.stream_meta || !meta_name_.empty();
  complete_at_ = operators_.size() + 1;
  if (needed.fields.all) {
    size_t filters = 0;
    while (filters < operators_.size() && operators_[filters]->only_filters()) ++filters;
    if (filters > 0) {
      Dependencies first;
      for (size_t i = filters; i-- > 0;) operators_[i]->dependencies(first);
      if (!first.fields.all) {
        needed.fields = first.fields;
        complete_at_ = filters;
      }
    }
  }
  if (source_.time_field != nullptr) {
    Dependencies time;
    source_.time_field->add_dependencies(time);
    needed.fields.add(time.fields);
  }
  pruned_ = !needed.fields.all;
  json_ = std::make_unique<JsonDecoder>(DecodePlan(needed.fields));
  bson_ = std::make_unique<BsonDecoder>(DecodePlan(needed.fields));
}

}  // namespace millrace::engine
