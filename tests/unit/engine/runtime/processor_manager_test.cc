// Life cycles with real threads and a real store; documents in, __testLog out.
#include "engine/runtime/processor_manager.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "engine/document/extended_json.h"
#include "engine/runtime/connection_table.h"
#include "storage/store.h"

namespace millrace::engine {
namespace {

using std::chrono::milliseconds;

// The system's clock, which a test can put forward.
class ShiftedClock final : public Clock {
 public:
  int64_t now_ms() const override { return system_.now_ms() + shift_ms.load(); }
  int64_t monotonic_ns() const override { return system_.monotonic_ns(); }
  std::atomic<int64_t> shift_ms{0};

 private:
  SystemClock system_;
};

class Manager : public testing::Test {
 protected:
  Manager()
      : directory_(std::filesystem::temp_directory_path() /
                   ("millrace-manager-" + ObjectId::generate().to_hex())) {
    open();
  }
  ~Manager() override {
    close();
    std::filesystem::remove_all(directory_);
  }

  void open() {
    storage::OpenOptions options;
    options.sync = storage::Sync::kNever;
    auto store = storage::Store::open(directory_.string(), options);
    ASSERT_TRUE(store.ok()) << store.status().message();
    store_ = std::move(*store);
    ProcessorManager::Environment environment;
    environment.store = store_.get();
    environment.connections = &connections_;
    environment.clock = &clock_;
    environment.run.checkpoint_interval = milliseconds(50);
    manager_ = std::make_unique<ProcessorManager>(environment);
    std::vector<std::string> damaged;
    ASSERT_TRUE(manager_->load(&damaged).ok());
    ASSERT_TRUE(damaged.empty());
  }
  void close() {
    manager_.reset();
    store_.reset();
  }

  static CreateOptions definition(std::string name, std::string_view stages) {
    CreateOptions options;
    options.name = std::move(name);
    options.pipeline = *parse_extended_json("{\"pipeline\": " + std::string(stages) + "}");
    return options;
  }

  template <typename F>
  bool eventually(F condition) {
    for (int i = 0; i < 500; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return false;
  }
  ProcessorState state(std::string_view name) { return manager_->get(name)->definition.state; }

  std::filesystem::path directory_;
  ShiftedClock clock_;
  ConnectionRegistry connections_{connection_types()};
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<ProcessorManager> manager_;
};

constexpr std::string_view kThree =
    R"([{"$source": {"documents": [{"a": 1}, {"a": 2}, {"a": 3}]}}, {"$match": {"a": {"$gt": 1}}}, {"$emit": {"connectionName": "__testLog"}}])";
constexpr std::string_view kSolar =
    R"([{"$source": {"connectionName": "sample_stream_solar"}}, {"$emit": {"connectionName": "__testLog"}}])";

TEST_F(Manager, ACreatedProcessorStartsStopsAndKeepsItsCounters) {
  ASSERT_TRUE(manager_->create(definition("p", kThree)).ok());
  EXPECT_EQ(state("p"), ProcessorState::kCreated);
  EXPECT_EQ(manager_->create(definition("p", kThree)).code(), 125);
  EXPECT_EQ(manager_->stop("p", false).code(), 125);
  ASSERT_TRUE(manager_->start("p", {}).ok());
  EXPECT_EQ(manager_->start("p", {}).code(), 125);
  ASSERT_TRUE(eventually([&] { return manager_->get("p")->counters.output_count == 2; }));
  EXPECT_EQ(manager_->get("p")->counters.input_count, 3);
  ASSERT_TRUE(manager_->stop("p", false).ok());
  EXPECT_EQ(state("p"), ProcessorState::kStopped);
  EXPECT_EQ(manager_->get("p")->counters.output_count, 2);
  ASSERT_TRUE(manager_->drop("p").ok());
  EXPECT_EQ(manager_->start("p", {}).code(), 125);
  EXPECT_FALSE(manager_->get("p").ok());
}

TEST_F(Manager, DocumentsAreNotReplayedAfterAResumeButAreAfterAFreshStart) {
  ASSERT_TRUE(manager_->create(definition("p", kThree)).ok());
  ASSERT_TRUE(manager_->start("p", {}).ok());
  ASSERT_TRUE(eventually([&] { return manager_->get("p")->counters.input_count == 3; }));
  ASSERT_TRUE(manager_->stop("p", false).ok());
  ASSERT_TRUE(manager_->start("p", {}).ok());
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_EQ(manager_->get("p")->counters.input_count, 3);
  ASSERT_TRUE(manager_->stop("p", false).ok());
  StartOptions fresh;
  fresh.resume = false;
  ASSERT_TRUE(manager_->start("p", fresh).ok());
  EXPECT_TRUE(eventually([&] { return manager_->get("p")->counters.input_count == 6; }));
}

TEST_F(Manager, AfterFortyFiveDaysAStoppedProcessorBeginsAsIfItHadNeverRun) {
  constexpr int64_t kDayMs = 86'400'000;
  ASSERT_TRUE(manager_->create(definition("p", kThree)).ok());
  auto run_once = [&](int64_t expected_input) {
    ASSERT_TRUE(manager_->start("p", {}).ok());
    EXPECT_TRUE(
        eventually([&] { return manager_->get("p")->counters.input_count == expected_input; }));
    std::this_thread::sleep_for(milliseconds(100));
    EXPECT_EQ(manager_->get("p")->counters.input_count, expected_input);
    ASSERT_TRUE(manager_->stop("p", false).ok());
  };
  run_once(3);
  clock_.shift_ms += 44 * kDayMs;
  run_once(3);  // resumed: nothing is read again
  clock_.shift_ms += 46 * kDayMs;
  run_once(3);  // afresh: read again, and counted from zero
  EXPECT_EQ(manager_->get("p")->counters.output_count, 2);
}

TEST_F(Manager, AfterARestartOfTheServerWhatWasRunningRunsAgain) {
  ASSERT_TRUE(manager_->create(definition("runs", kSolar)).ok());
  ASSERT_TRUE(manager_->create(definition("rests", kSolar)).ok());
  ASSERT_TRUE(manager_->start("runs", {}).ok());
  ASSERT_TRUE(eventually([&] { return manager_->get("runs")->counters.input_count > 0; }));
  close();
  open();
  EXPECT_EQ(state("rests"), ProcessorState::kCreated);
  int64_t before = manager_->get("runs")->counters.input_count;
  EXPECT_GT(before, 0);
  EXPECT_TRUE(eventually([&] { return manager_->get("runs")->counters.input_count > before; }));
  EXPECT_EQ(state("runs"), ProcessorState::kStarted);
}

TEST_F(Manager, ProcessEndsWhenItsDocumentsAreThrough) {
  CreateOptions options = definition("", R"([{"$source": {"documents": [{"a": 1}, {"a": 2}]}}])");
  auto cursor = manager_->process(options, 0, {});
  ASSERT_TRUE(cursor.ok()) << cursor.status().message();
  std::vector<Document> documents;
  bool exhausted = false;
  ASSERT_TRUE(eventually([&] {
    auto taken = (*cursor)->take(5, clock_.monotonic_ns());
    if (!taken) return false;
    for (auto& document : taken->documents) documents.push_back(document);
    exhausted = taken->exhausted;
    return exhausted;
  }));
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_TRUE(documents[0].get("_ts").is(Type::kDate));
  EXPECT_EQ(to_json(documents[0].get("_stream_meta")), R"({"source":{"type":"generated"}})");
  EXPECT_TRUE(manager_->drop((*cursor)->processor()).ok());
  EXPECT_FALSE(manager_->get((*cursor)->processor()).ok());
}

TEST_F(Manager, ATemporaryProcessorGoesWithItsSession) {
  TemporaryOwner owner;
  owner.session_id = "0123456789abcdef";
  auto cursor = manager_->process(
      definition("", R"([{"$source": {"connectionName": "sample_stream_solar"}}])"), 0, owner);
  ASSERT_TRUE(cursor.ok());
  EXPECT_EQ(manager_->list().size(), 1u);
  manager_->sessions_ended({"another session"});
  EXPECT_EQ(manager_->list().size(), 1u);
  manager_->sessions_ended({"0123456789abcdef"});
  EXPECT_EQ(manager_->list().size(), 0u);
}

TEST_F(Manager, OverItsMemoryLimitAProcessorFailsAndItsNeighbourGoesOn) {
  close();
  {
    storage::OpenOptions options;
    options.sync = storage::Sync::kNever;
    store_ = std::move(*storage::Store::open(directory_.string(), options));
    ProcessorManager::Environment environment;
    environment.store = store_.get();
    environment.connections = &connections_;
    environment.clock = &clock_;
    environment.run.memory_limit_bytes = 100;
    manager_ = std::make_unique<ProcessorManager>(environment);
  }
  ASSERT_TRUE(
      manager_
          ->create(definition("big", R"([{"$source": {"documents": [{"a": 1}, {"a": 2}, {"a": 3}]}},
      {"$tumblingWindow": {"interval": {"size": 1, "unit": "hour"}, "pipeline": [{"$group": {"_id": "$a", "all": {"$push": "$$ROOT"}}}]}},
      {"$emit": {"connectionName": "__testLog"}}])"))
          .ok());
  ASSERT_TRUE(manager_->create(definition("small", kSolar)).ok());
  ASSERT_TRUE(manager_->start("small", {}).ok());
  ASSERT_TRUE(manager_->start("big", {}).ok());
  ASSERT_TRUE(eventually([&] { return state("big") == ProcessorState::kFailed; }));
  EXPECT_EQ(manager_->get("big")->definition.error.code(), 418);
  EXPECT_NE(manager_->get("big")->definition.error.message().find("Worker out of memory"),
            std::string::npos);
  EXPECT_EQ(state("small"), ProcessorState::kStarted);
  EXPECT_TRUE(manager_->stop("big", false).ok());
  EXPECT_EQ(state("big"), ProcessorState::kStopped);
}

TEST_F(Manager, ManyThreadsStartStopAndListWithoutHarm) {
  for (int i = 0; i < 4; ++i)
    ASSERT_TRUE(manager_->create(definition("p" + std::to_string(i), kSolar)).ok());
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      std::string name = "p" + std::to_string(i);
      for (int round = 0; round < 5; ++round) {
        EXPECT_TRUE(manager_->start(name, {}).ok());
        auto cursor = manager_->start_sample(name, 1);
        EXPECT_TRUE(cursor.ok());
        (void)manager_->list();
        EXPECT_TRUE(manager_->stop(name, round % 2 == 0).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(manager_->list().size(), 4u);
}

}  // namespace
}  // namespace millrace::engine
