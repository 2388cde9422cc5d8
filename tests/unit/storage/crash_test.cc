// kill -9 at random points of a process that writes: everything it had committed is there, nothing
// half, and the file is sound.
#include <chrono>
#include <csignal>
#include <random>
#include <thread>

#include "storage/checkpoints.h"
#include "storage/collections.h"
#include "store_fixture.h"

namespace millrace::storage {
namespace {

class CrashTest : public StoreTest {
 protected:
  // Writes transaction after transaction and says the number of each on `out` once it is committed.
  static void write_until_killed(const std::string& dir, const OpenOptions& options, int out) {
    auto store = Store::open(dir, options);
    if (!store.ok()) _exit(2);
    std::mt19937 random(static_cast<unsigned>(getpid()));
    int64_t number = 0;
    {
      auto txn = std::move((*store)->read()).value();
      auto last = txn->get(Table::kStats, "number").value();
      if (last) number = std::stoll(std::string(*last));
    }
    while (true) {
      ++number;
      auto status = (*store)->write([&](WriteTransaction& txn) -> Status {
        MR_RETURN_IF_ERROR(txn.put(Table::kStats, "number", std::to_string(number)));
        MR_RETURN_IF_ERROR(insert_record(txn, 1, bson_of("record", number)).status());
        std::string window(random() % 30'000, static_cast<char>('a' + number % 26));
        std::string offset = std::to_string(number);
        std::vector<CheckpointBlobView> blobs = {{"source", 1, offset}, {"window", 1, window}};
        CheckpointHeader header;
        header.id = std::to_string(number);
        return put_checkpoint(txn, "p", header, blobs).status();
      });
      if (!status.ok()) _exit(3);
      if (::write(out, &number, sizeof(number)) != sizeof(number)) _exit(4);
    }
  }

  // Starts a writer, kills it after a random time, and returns the last number that it said was
  // committed.
  int64_t crash(std::mt19937& random, const OpenOptions& options) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
      ::close(ends[0]);
      write_until_killed(dir(), options, ends[1]);
    }
    ::close(ends[1]);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 40'000));
    kill(pid, SIGKILL);
    int status = 0;
    waitpid(pid, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the writer ended by itself: " << WEXITSTATUS(status);
    int64_t number = 0, committed = 0;
    while (read(ends[0], &number, sizeof(number)) == sizeof(number)) committed = number;
    ::close(ends[0]);
    return committed;
  }

  // Everything committed is there and belongs together.
  void check(int64_t committed) {
    auto txn = std::move(store_->read()).value();
    auto value = txn->get(Table::kStats, "number").value();
    int64_t number = value ? std::stoll(std::string(*value)) : 0;
    // One more may have been committed without being told.
    ASSERT_GE(number, committed);
    auto checkpoint = read_checkpoint(*txn, "p");
    ASSERT_OK(checkpoint);
    EXPECT_TRUE(checkpoint->damaged.empty());
    if (number > 0) {
      ASSERT_TRUE(checkpoint->checkpoint);
      EXPECT_EQ(checkpoint->checkpoint->header.id, std::to_string(number));
      EXPECT_EQ(checkpoint->checkpoint->find("source")->bytes, std::to_string(number));
    }
    EXPECT_EQ(collection_statistics(*txn, 1).value().records, number);
    auto cursor = std::move(RecordCursor::open(*txn, 1)).value();
    int64_t records = 0;
    for (auto status = cursor.first(); status.ok() && cursor.valid(); status = cursor.next()) {
      ASSERT_EQ(cursor.bson(), bson_of("record", ++records));
    }
    EXPECT_EQ(records, number);
  }

  void crash_often(int times, const OpenOptions& options) {
    std::mt19937 random(3);
    int64_t committed = 0;
    for (int i = 0; i < times; ++i) {
      committed = std::max(committed, crash(random, options));
      ASSERT_OK(open());
      ASSERT_TRUE(store_->damage().empty()) << store_->damage()[0].message;
      check(committed);
      close();
    }
    EXPECT_GT(committed, 0);
  }
};

TEST_F(CrashTest, CommittedRecordsSurviveKill) { crash_often(40, OpenOptions()); }

TEST_F(CrashTest, CommittedRecordsSurviveKillWithoutSync) {
  auto options = quick();
  options.map_bytes = size_t{1} << 20;  // it grows on the way
  crash_often(40, options);
}

TEST_F(CrashTest, AHalfMadeDatabaseIsMadeAnew) {
  std::filesystem::create_directory(dir());
  save(file("millrace.mdb.new"), std::string(5000, 'x'));
  ASSERT_OK(open());
  EXPECT_FALSE(std::filesystem::exists(file("millrace.mdb.new")));
  ASSERT_OK(put(Table::kStats, "a", "1"));
}

}  // namespace
}  // namespace millrace::storage
