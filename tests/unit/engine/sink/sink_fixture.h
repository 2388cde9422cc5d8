// A sink without a pipeline around it: documents go through its encoder and its writer.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/document/extended_json.h"
#include "engine/sink/sink.h"
#include "engine/stage/stages.h"

namespace millrace::engine {

inline Document json(std::string_view text) {
  auto parsed = parse_extended_json(text);
  EXPECT_TRUE(parsed.ok()) << parsed.status().message() << " in " << text;
  return parsed.ok() ? *parsed : Document();
}

// The stages of an update pipeline.
class UpdateStages final : public PipelineBuilder {
 public:
  Result<std::vector<OperatorPtr>> build(const Value& pipeline, Place place,
                                         StageContext& context) override {
    EXPECT_EQ(place, Place::kUpdate);
    std::vector<OperatorPtr> stages;
    for (const Value& element : pipeline.as_array()) {
      Field stage = *element.as_object().begin();
      StageFunction parse = stage.name() == "$set" || stage.name() == "$addFields"
                                ? parse_add_fields_stage
                            : stage.name() == "$unset"       ? parse_unset_stage
                            : stage.name() == "$replaceWith" ? parse_replace_root_stage
                                                             : nullptr;
      if (parse == nullptr)
        return Status(ErrorCode::kStreamProcessorInvalidOptions,
                      std::string(stage.name()) + " is not allowed inside an update pipeline");
      MR_ASSIGN_OR_RETURN(OperatorPtr made, parse(stage.name(), stage.value, context));
      stages.push_back(std::move(made));
    }
    return stages;
  }
};

struct Letter {
  std::string document;  // relaxed JSON
  std::string reason;
};

class CollectedLetters final : public SinkDeadLetters {
 public:
  void add(std::string_view document, std::string_view operator_name,
           std::string_view reason) override {
    operator_names.emplace_back(operator_name);
    letters.push_back({to_json(Value::bson_object(document.data())), std::string(reason)});
  }
  std::vector<std::string> operator_names;
  std::vector<Letter> letters;
};

struct SinkUnderTest {
  CompiledMemory memory;
  ParseContext parse{memory};
  UpdateStages builder;
  SystemClock clock;
  Document spec;
  Sink sink;
  Status status;
  std::vector<std::string> encoder_letters;  // reasons
  CollectedLetters letters;
  OutputBatch batch;
  Arena arena;
  OperatorContext context;

  SinkUnderTest(SinkFunction function, std::string_view text, ConnectionPtr connection,
                ClusterConnector* clusters)
      : spec(json(text)) {
    parse.in_stream = true;
    StageContext stage{parse, builder, Place::kUpdate};
    SinkContext sink_context{spec.value(), std::move(connection), clusters, parse, stage, &clock};
    auto made = function(sink_context);
    status = made.status();
    if (made.ok()) sink = std::move(*made);
    context.eval.arena = &arena;
    context.eval.clock = &clock;
    context.eval.variables.resize(parse.variable_count());
  }
  ~SinkUnderTest() {
    if (sink.writer) sink.writer->close();
  }

  // Adds to the batch. `meta`: the stream metadata.
  void encode(std::string_view text, std::string_view meta = "{}") {
    ASSERT_TRUE(status.ok()) << status.message();
    Document document = json(text);
    Document metadata = json(meta);
    StreamDocument in;
    in.body = document.value();
    in.meta = metadata.value();
    context.eval.root = in.body;
    context.eval.stream_meta = in.meta;
    try {
      sink.encoder->encode(in, context, batch);
    } catch (const EvaluationError& error) {
      encoder_letters.emplace_back(error.what());
    }
    arena.reset();
  }
  // Sends the batch; on success it is empty afterwards.
  Status send() {
    MR_RETURN_IF_ERROR(sink.writer->write(batch, letters));
    batch.clear();
    return {};
  }
  Status flush() { return sink.writer->flush(letters); }
  std::string stats() const {
    BsonWriter writer;
    writer.begin_document();
    sink.writer->add_stats(writer);
    writer.end();
    return to_json(Value::bson_object(writer.bytes().data()));
  }
};

}  // namespace millrace::engine
