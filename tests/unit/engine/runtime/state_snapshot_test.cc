#include "engine/runtime/state_snapshot.h"

#include <gtest/gtest.h>

#include "engine/document/extended_json.h"

namespace millrace::engine {
namespace {

constexpr std::string_view kStages =
    R"([{"$hoppingWindow": {"interval": {"size": 1, "unit": "day"}, "hopSize": {"size": 1, "unit": "hour"}, "pipeline": [{"$group": {)"
    R"("_id": "$k", "n": {"$sum": 1}, "all": {"$push": "$v"}}}]}}])";

class StateSnapshotTest : public testing::Test {
 protected:
  StateSnapshotTest() {
    PipelineSpec spec;
    spec.pipeline = *parse_extended_json(R"({"pipeline": )" + std::string(kStages) + "}");
    spec.source_and_sink = false;
    spec.time_field = *parse_extended_json(R"({"$toDate": "$t"})");
    PipelineEnvironment environment;
    environment.clock = &clock_;
    pipeline_ = std::move(*Pipeline::build(spec, environment));
  }
  void feed(int from, int to) {
    SourceBatch batch;
    for (int i = from; i < to; ++i) {
      batch.add("{\"k\": " + std::to_string(i % 50) + ", \"t\": " + std::to_string(i * 1000) +
                ", \"v\": \"" + std::to_string(i) + "\"}");
    }
    OutputBatch output;
    pipeline_->process(batch, output);
  }

  SystemClock clock_;
  std::unique_ptr<Pipeline> pipeline_;
};

TEST_F(StateSnapshotTest, KeepsTheMomentWhileThePipelineGoesOn) {
  feed(0, 1000);
  Pipeline::State before = pipeline_->save();
  auto snapshot = StateSnapshot::start(*pipeline_);
#if defined(__SANITIZE_THREAD__)
  EXPECT_FALSE(snapshot.ok());
  return;
#endif
  ASSERT_TRUE(snapshot.ok()) << snapshot.status().message();
  feed(1000, 3000);
  auto taken = (*snapshot)->take();
  ASSERT_TRUE(taken.ok()) << taken.status().message();
  EXPECT_TRUE((*snapshot)->finished());
  ASSERT_EQ(taken->size(), before.size());
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ((*taken)[i].first, before[i].first);
    EXPECT_TRUE((*taken)[i].second == before[i].second.bytes()) << before[i].first;
  }
  auto again = (*snapshot)->take();  // as after a commit that failed
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->size(), before.size());
}

TEST_F(StateSnapshotTest, GoneBeforeItsChildIsNoHarm) {
  feed(0, 1000);
  for (int i = 0; i < 20; ++i) {
    auto snapshot = StateSnapshot::start(*pipeline_);
#if defined(__SANITIZE_THREAD__)
    return;
#endif
    ASSERT_TRUE(snapshot.ok());
  }
  feed(1000, 1100);
}

}  // namespace
}  // namespace millrace::engine
