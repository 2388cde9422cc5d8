#include "storage/store.h"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <csignal>

#include <atomic>
#include <chrono>
#include <thread>

#include "storage/identity.h"
#include "storage/record_envelope.h"
#include "store_fixture.h"

namespace millrace::storage {
namespace {

TEST_F(StoreTest, MakesTheDirectoryAndAnIdentityThatStays) {
  ASSERT_OK(open());
  auto identity = store_->identity();
  EXPECT_EQ(identity.workspace_id.size(), 24u);
  EXPECT_EQ(identity.project_id.size(), 24u);
  EXPECT_GT(identity.created_at_ms, 1'600'000'000'000);
  ASSERT_OK(open());
  EXPECT_EQ(store_->identity().workspace_id, identity.workspace_id);
  EXPECT_EQ(store_->identity().project_id, identity.project_id);
  EXPECT_EQ(store_->identity().created_at_ms, identity.created_at_ms);
  struct stat info;
  ASSERT_EQ(stat(file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(StoreTest, IdentityComesFromTheGivenClock) {
  engine::ManualClock clock(1234567);
  auto options = quick();
  options.clock = &clock;
  ASSERT_OK(open(options));
  EXPECT_EQ(store_->identity().created_at_ms, 1234567);
}

TEST_F(StoreTest, StoresAndErasesRecords) {
  ASSERT_OK(open());
  ASSERT_OK(put(Table::kStats, "a", "1"));
  ASSERT_OK(put(Table::kStats, "a", "2"));
  ASSERT_OK(put(Table::kProcessors, "a", ""));
  EXPECT_EQ(get(Table::kStats, "a"), "2");
  EXPECT_EQ(get(Table::kProcessors, "a"), "");
  EXPECT_EQ(get(Table::kConnections, "a"), "(none)");
  ASSERT_OK(store_->write([](WriteTransaction& txn) -> Status {
    EXPECT_FALSE(txn.insert(Table::kStats, "a", "3").value());
    EXPECT_TRUE(txn.insert(Table::kStats, "b", "3").value());
    EXPECT_EQ(txn.get(Table::kStats, "b").value(),
              "3");  // a write transaction sees its own changes
    EXPECT_TRUE(txn.erase(Table::kStats, "a").value());
    EXPECT_FALSE(txn.erase(Table::kStats, "a").value());
    return {};
  }));
  EXPECT_EQ(get(Table::kStats, "a"), "(none)");
  EXPECT_EQ(get(Table::kStats, "b"), "3");
  ASSERT_OK(open());
  EXPECT_TRUE(store_->damage().empty());
  EXPECT_EQ(get(Table::kStats, "b"), "3");
}

TEST_F(StoreTest, AnErrorUndoesTheWholeTransaction) {
  ASSERT_OK(open());
  auto status = store_->write([](WriteTransaction& txn) -> Status {
    MR_RETURN_IF_ERROR(txn.put(Table::kStats, "a", "1"));
    return {ErrorCode::kBadValue, "no"};
  });
  EXPECT_EQ(status.message(), "no");
  EXPECT_EQ(get(Table::kStats, "a"), "(none)");
  EXPECT_THROW((void)store_->write([](WriteTransaction& txn) -> Status {
    MR_RETURN_IF_ERROR(txn.put(Table::kStats, "a", "1"));
    throw std::runtime_error("out of the work");
  }),
               std::runtime_error);
  EXPECT_EQ(get(Table::kStats, "a"), "(none)");
  ASSERT_OK(put(Table::kStats, "a", "1"));
}

TEST_F(StoreTest, RefusesKeysThatCannotBeStored) {
  ASSERT_OK(open());
  EXPECT_EQ(put(Table::kStats, "", "1").code(), 2);
  EXPECT_EQ(put(Table::kStats, std::string(512, 'k'), "1").code(), 2);
  ASSERT_OK(put(Table::kStats, std::string(511, 'k'), "1"));
  EXPECT_EQ(get(Table::kStats, std::string(511, 'k')), "1");
  EXPECT_EQ(get(Table::kStats, std::string(512, 'k')), "(none)");
}

TEST_F(StoreTest, AThreadThatReadsMustNotWrite) {
  ASSERT_OK(open());
  auto txn = store_->read();
  ASSERT_OK(txn);
  EXPECT_EQ(put(Table::kStats, "a", "1").code(), 1);
  txn->reset();
  ASSERT_OK(put(Table::kStats, "a", "1"));
}

TEST_F(StoreTest, AReadTransactionSeesTheStateAtItsBeginning) {
  ASSERT_OK(open());
  ASSERT_OK(put(Table::kStats, "a", "1"));
  auto txn = store_->read();
  ASSERT_OK(txn);
  std::thread([&] { ASSERT_OK(put(Table::kStats, "a", "2")); }).join();
  EXPECT_EQ((*txn)->get(Table::kStats, "a").value(), "1");
  EXPECT_EQ(get(Table::kStats, "a"), "2");  // a second read transaction of the same thread
}

std::string keys(Cursor& cursor, Status start, bool forward) {
  std::string seen;
  for (; start.ok() && cursor.valid(); start = forward ? cursor.next() : cursor.previous()) {
    seen += std::string(cursor.key()) + "=" + std::string(cursor.value()) + " ";
  }
  return start.ok() ? seen : "error";
}

TEST_F(StoreTest, ScansForwardsAndBackwardsWithinAPrefix) {
  ASSERT_OK(open());
  ASSERT_OK(store_->write([](WriteTransaction& txn) -> Status {
    for (const char* key : {"a", "b1", "b3", "b\xff", "b\xff\xff", "c", "\xff", "\xff\xff"}) {
      MR_RETURN_IF_ERROR(txn.put(Table::kIndexes, key, "v"));
    }
    return {};
  }));
  auto txn = std::move(store_->read()).value();
  auto all = std::move(txn->cursor(Table::kIndexes)).value();
  EXPECT_EQ(keys(*all, all->first(), true),
            "a=v b1=v b3=v b\xff=v b\xff\xff=v c=v \xff=v \xff\xff=v ");
  EXPECT_EQ(keys(*all, all->last(), false),
            "\xff\xff=v \xff=v c=v b\xff\xff=v b\xff=v b3=v b1=v a=v ");
  EXPECT_EQ(keys(*all, all->seek_before("b1"), false), "a=v ");
  EXPECT_EQ(keys(*all, all->seek_before(""), false), "");
  EXPECT_EQ(keys(*all, all->seek(""), true).substr(0, 4), "a=v ");
  EXPECT_EQ(keys(*all, all->seek("\xff\xff\xff"), true), "");
  auto b = std::move(txn->cursor(Table::kIndexes, "b")).value();
  EXPECT_EQ(keys(*b, b->first(), true), "b1=v b3=v b\xff=v b\xff\xff=v ");
  EXPECT_EQ(keys(*b, b->last(), false), "b\xff\xff=v b\xff=v b3=v b1=v ");
  EXPECT_EQ(keys(*b, b->seek("b2"), true), "b3=v b\xff=v b\xff\xff=v ");
  EXPECT_EQ(keys(*b, b->seek("a"), true), "b1=v b3=v b\xff=v b\xff\xff=v ");
  EXPECT_EQ(keys(*b, b->seek("d"), true), "");
  EXPECT_EQ(keys(*b, b->seek_before("b3"), false), "b1=v ");
  EXPECT_EQ(keys(*b, b->seek_before("z"), false), "b\xff\xff=v b\xff=v b3=v b1=v ");
  EXPECT_EQ(keys(*b, b->seek_before("b"), false), "");
  auto end = std::move(txn->cursor(Table::kIndexes, "\xff")).value();
  EXPECT_EQ(keys(*end, end->last(), false), "\xff\xff=v \xff=v ");
  EXPECT_EQ(keys(*end, end->seek_before("\xff\xff"), false), "\xff=v ");
  auto none = std::move(txn->cursor(Table::kIndexes, "bb")).value();
  EXPECT_EQ(keys(*none, none->first(), true), "");
  EXPECT_EQ(keys(*none, none->last(), false), "");
}

TEST_F(StoreTest, ErasesByPrefix) {
  ASSERT_OK(open());
  ASSERT_OK(store_->write([](WriteTransaction& txn) -> Status {
    for (int i = 0; i < 3000; ++i) {
      MR_RETURN_IF_ERROR(txn.put(Table::kIndexes, (i % 3 ? "x" : "y") + std::to_string(i),
                                 std::string(i % 50, 'v')));
    }
    EXPECT_EQ(txn.erase_prefix(Table::kIndexes, "x").value(), 2000);
    EXPECT_EQ(txn.erase_prefix(Table::kIndexes, "x").value(), 0);
    return {};
  }));
  ASSERT_OK(store_->write([](WriteTransaction& txn) -> Status {
    EXPECT_EQ(txn.erase_prefix(Table::kIndexes, "").value(), 1000);
    return {};
  }));
  ASSERT_OK(open());
  EXPECT_TRUE(store_->damage().empty());
}

TEST_F(StoreTest, DeferredRecordsAreWrittenOnceAtTheCommit) {
  ASSERT_OK(open());
  auto count_to = [&](int n) {
    return store_->write([&](WriteTransaction& txn) -> Status {
      for (int i = 0; i < n; ++i) {
        MR_ASSIGN_OR_RETURN(std::string * value, txn.deferred(Table::kStats, "n"));
        value->push_back('x');
      }
      return {};
    });
  };
  ASSERT_OK(count_to(3));
  ASSERT_OK(count_to(2));
  EXPECT_EQ(get(Table::kStats, "n"), "xxxxx");
  ASSERT_OK(store_->write([&](WriteTransaction& txn) -> Status {
    MR_ASSIGN_OR_RETURN(std::string * value, txn.deferred(Table::kStats, "n"));
    value->clear();
    return {};
  }));
  EXPECT_EQ(get(Table::kStats, "n"), "(none)");
}

TEST_F(StoreTest, GrowsWithoutLosingTheCallersWork) {
  auto options = quick();
  options.map_bytes = size_t{1} << 20;
  ASSERT_OK(open(options));
  int runs = 0;
  ASSERT_OK(store_->write([&](WriteTransaction& txn) -> Status {
    ++runs;
    for (int i = 0; i < 2000; ++i) {
      MR_RETURN_IF_ERROR(
          txn.put(Table::kStats, std::to_string(i), std::string(3000, 'a' + i % 26)));
    }
    return {};
  }));
  EXPECT_GT(runs, 1);
  EXPECT_GE(store_->size().map_bytes, size_t{8} << 20);
  for (int i = 0; i < 2000; ++i)
    ASSERT_EQ(get(Table::kStats, std::to_string(i)), std::string(3000, 'a' + i % 26));
  // Opened with the small map again: it is as large as its file at least.
  ASSERT_OK(open(options));
  EXPECT_EQ(get(Table::kStats, "1999"), std::string(3000, 'a' + 1999 % 26));
  ASSERT_OK(put(Table::kStats, "more", std::string(5'000'000, 'm')));
  EXPECT_EQ(get(Table::kStats, "more").size(), 5'000'000u);
}

TEST_F(StoreTest, AFullStoreSaysSoAndGoesOnAfterAnErase) {
  auto options = quick();
  options.map_bytes = size_t{1} << 20;
  options.map_bytes_max = size_t{4} << 20;
  ASSERT_OK(open(options));
  ASSERT_OK(put(Table::kStats, "old", std::string(1'500'000, 'o')));
  auto status = put(Table::kStats, "large", std::string(3'000'000, 'l'));
  EXPECT_EQ(status.code(), 14031);
  EXPECT_NE(status.message().find("may grow to 4 MB"), std::string::npos) << status.message();
  EXPECT_EQ(get(Table::kStats, "large"), "(none)");
  ASSERT_OK(store_->write(
      [](WriteTransaction& txn) { return txn.erase(Table::kStats, "old").status(); }));
  ASSERT_OK(put(Table::kStats, "small", "s"));
  EXPECT_EQ(get(Table::kStats, "small"), "s");
}

TEST_F(StoreTest, ManyThreadsReadWhileOneWritesAndTheStoreGrows) {
  auto options = quick();
  options.map_bytes = size_t{1} << 20;
  ASSERT_OK(open(options));
  std::atomic<bool> done{false};
  std::atomic<int> reads{0}, wrong{0};
  std::vector<std::thread> readers;
  for (int t = 0; t < 6; ++t) {
    readers.emplace_back([&] {
      while (!done) {
        auto txn = store_->read();
        if (!txn.ok()) {
          ++wrong;
          continue;
        }
        // Both are written in one transaction: they are equal in every view.
        auto a = (*txn)->get(Table::kStats, "a"), b = (*txn)->get(Table::kProcessors, "b");
        if (!a.ok() || !b.ok() || *a != *b) ++wrong;
        auto cursor = (*txn)->cursor(Table::kRecords);
        int count = 0;
        auto status = (*cursor)->last();
        for (; status.ok() && (*cursor)->valid() && count < 50; status = (*cursor)->previous())
          ++count;
        if (!status.ok()) ++wrong;
        ++reads;
      }
    });
  }
  for (int i = 0; i < 300; ++i) {
    ASSERT_OK(store_->write([&](WriteTransaction& txn) -> Status {
      MR_RETURN_IF_ERROR(txn.put(Table::kStats, "a", std::to_string(i)));
      MR_RETURN_IF_ERROR(txn.put(Table::kRecords, std::to_string(i), std::string(20'000, 'r')));
      return txn.put(Table::kProcessors, "b", std::to_string(i));
    }));
  }
  while (reads < 100) std::this_thread::yield();
  done = true;
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(store_->size().map_bytes, size_t{4} << 20);
}

TEST_F(StoreTest, SeveralThreadsWriteInTurn) {
  ASSERT_OK(open());
  std::vector<std::thread> writers;
  for (int t = 0; t < 4; ++t) {
    writers.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        auto status = store_->write([](WriteTransaction& txn) -> Status {
          MR_ASSIGN_OR_RETURN(auto old, txn.get(Table::kStats, "n"));
          int n = old ? std::stoi(std::string(*old)) : 0;
          return txn.put(Table::kStats, "n", std::to_string(n + 1));
        });
        ASSERT_TRUE(status.ok()) << status.message();
      }
    });
  }
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(get(Table::kStats, "n"), "200");
}

TEST_F(StoreTest, ASecondInstanceIsRefusedAndToldThePid) {
  ASSERT_OK(open());
  auto second = Store::open(dir(), quick());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), 98);
  EXPECT_NE(second.status().message().find("process " + std::to_string(getpid())),
            std::string::npos)
      << second.status().message();
  ASSERT_OK(put(Table::kStats, "a", "1"));  // the first is not disturbed
  close();
  ASSERT_OK(open());
}

TEST_F(StoreTest, AForeignFileIsRefusedAndLeftAlone) {
  std::filesystem::create_directory(dir());
  for (std::string content : {std::string("PRAGMA foreign; not a database"),
                              std::string(100'000, 'x'), std::string(8192, '\0')}) {
    save(file(), content);
    EXPECT_EQ(open().code(), 12);
    EXPECT_EQ(load(file()), content);
  }
  // LMDB, but not ours.
  std::filesystem::remove(file());
  MDB_env* env;
  ASSERT_EQ(mdb_env_create(&env), 0);
  ASSERT_EQ(mdb_env_open(env, file().c_str(), MDB_NOSUBDIR, 0600), 0);
  MDB_txn* txn;
  MDB_dbi dbi;
  MDB_val key{1, const_cast<char*>("k")}, value{1, const_cast<char*>("v")};
  ASSERT_EQ(mdb_txn_begin(env, nullptr, 0, &txn), 0);
  ASSERT_EQ(mdb_dbi_open(txn, nullptr, 0, &dbi), 0);
  ASSERT_EQ(mdb_put(txn, dbi, &key, &value, 0), 0);
  ASSERT_EQ(mdb_txn_commit(txn), 0);
  mdb_env_close(env);
  auto before = load(file());
  auto status = open();
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(status.code() == 12 || status.code() == 301) << status.message();
  EXPECT_EQ(load(file()), before);
}

TEST_F(StoreTest, ADirectoryOfANewerFormatIsRefusedAndLeftAlone) {
  ASSERT_OK(open());
  auto newer = encode_identity(store_->identity(), kFormatVersion + 1);
  ASSERT_OK(put(Table::kMeta, kIdentityKey, newer));
  close();
  auto before = load(file());
  auto status = open();
  EXPECT_EQ(status.code(), 12);
  EXPECT_NE(status.message().find("newer Millrace"), std::string::npos) << status.message();
  EXPECT_EQ(load(file()), before);
}

TEST_F(StoreTest, ADirectoryThatMayNotBeUsedIsRefused) {
  std::filesystem::create_directory(root_ + "/plain");
  save(root_ + "/file", "x");
  EXPECT_FALSE(Store::open(root_ + "/missing/parent", quick()).ok());
  EXPECT_FALSE(Store::open(root_ + "/file", quick()).ok());
  chmod((root_ + "/plain").c_str(), 0500);
  chmod(root_.c_str(), 0755);
  int result = in_child([&] {
    // Root may do everything: become nobody.
    if (geteuid() == 0 && setuid(65534) != 0) return false;
    auto opened = Store::open(root_ + "/plain", quick());
    return !opened.ok() && opened.status().code() == 13 &&
           opened.status().message().find("must be able to read and write") != std::string::npos;
  });
  EXPECT_EQ(result, 0);
}

TEST_F(StoreTest, AMissingDatabaseIsNotReplacedByAnEmptyOne) {
  ASSERT_OK(open());
  close();
  std::filesystem::remove(file());
  auto status = open();
  EXPECT_EQ(status.code(), 301);
  EXPECT_NE(status.message().find("millrace.state"), std::string::npos) << status.message();
}

TEST_F(StoreTest, ADiskThatIsFullFailsTheWriteAndNothingElse) {
  OpenOptions options;  // with every commit on the disk
  int result = in_child([&] {
    if (!open(options).ok() || !put(Table::kStats, "before", "1").ok()) return false;
    signal(SIGXFSZ, SIG_IGN);
    rlimit old{}, small{};
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = store_->size().file_bytes + 16384;
    setrlimit(RLIMIT_FSIZE, &small);
    auto status = put(Table::kStats, "large", std::string(1'000'000, 'l'));
    if (status.code() != 14031 || status.message().find("may be retried") == std::string::npos)
      return false;
    if (get(Table::kStats, "before") != "1" || get(Table::kStats, "large") != "(none)")
      return false;
    setrlimit(RLIMIT_FSIZE, &old);
    if (!put(Table::kStats, "large", std::string(1'000'000, 'l')).ok()) return false;
    close();
    return open(options).ok() && store_->damage().empty() &&
           get(Table::kStats, "large").size() == 1'000'000;
  });
  EXPECT_EQ(result, 0);
}

TEST_F(StoreTest, OpensFast) {
  ASSERT_OK(open());
  ASSERT_OK(store_->write([](WriteTransaction& txn) -> Status {
    for (int i = 0; i < 10'000; ++i)
      MR_RETURN_IF_ERROR(txn.put(Table::kRecords, std::to_string(i), std::string(300, 'r')));
    return {};
  }));
  close();
  auto start = std::chrono::steady_clock::now();
  ASSERT_OK(open());
  auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                  start)
                .count();
  RecordProperty("open_ms", static_cast<int>(ms));
  std::printf("opened and checked %llu bytes in %lld ms\n",
              static_cast<unsigned long long>(store_->size().file_bytes),
              static_cast<long long>(ms));
  EXPECT_LT(ms, 2000);
}

TEST_F(StoreTest, ALargeFileIsCheckedAgainOnlyIfItWasTouched) {
  OpenOptions options;
  options.always_check_bytes = 0;
  ASSERT_OK(open(options));
  ASSERT_OK(put(Table::kStats, "a", std::string(20'000, 'v')));
  close();
  auto bytes = load(file());
  auto at = bytes.find(std::string(1000, 'v'));
  ASSERT_NE(at, std::string::npos);
  // Damage that leaves no trace in the file's size and time: not looked for, but noticed when it is
  // read.
  struct stat before;
  ASSERT_EQ(stat(file().c_str(), &before), 0);
  bytes[at] = 'X';
  {
    std::fstream out(file(), std::ios::in | std::ios::out | std::ios::binary);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  timespec times[2] = {before.st_atim, before.st_mtim};
  ASSERT_EQ(utimensat(AT_FDCWD, file().c_str(), times, 0), 0);
  ASSERT_OK(open(options));
  EXPECT_TRUE(store_->damage().empty());
  EXPECT_EQ(get(Table::kStats, "a"), "(error 301)");
  close();
  // The same with the time of the change.
  save(file(), load(file()));
  ASSERT_OK(open(options));
  EXPECT_FALSE(store_->damage().empty());
  EXPECT_EQ(get(Table::kStats, "a"), "(none)");
}

TEST(RecordEnvelope, NoticesAChangedKeyTableLengthOrByte) {
  std::string stored(kEnvelopeBytes + 5, '\0');
  seal_record(Table::kStats, "key", "value", stored.data());
  auto record = open_record(Table::kStats, "key", stored);
  EXPECT_EQ(record.soundness, Soundness::kSound);
  EXPECT_EQ(record.payload, "value");
  EXPECT_EQ(open_record(Table::kStats, "kez", stored).soundness, Soundness::kDamaged);
  EXPECT_EQ(open_record(Table::kProcessors, "key", stored).soundness, Soundness::kDamaged);
  EXPECT_EQ(open_record(Table::kStats, "key", stored + "x").soundness, Soundness::kDamaged);
  for (size_t cut = 0; cut < stored.size(); ++cut) {
    EXPECT_EQ(open_record(Table::kStats, "key", stored.substr(0, cut)).soundness,
              Soundness::kDamaged);
  }
  for (size_t bit = 0; bit < stored.size() * 8; ++bit) {
    auto flipped = stored;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    EXPECT_EQ(open_record(Table::kStats, "key", flipped).soundness, Soundness::kDamaged) << bit;
  }
}

TEST(RecordEnvelope, NamesRecordsForPeople) {
  std::string record, checkpoint("orders\0", 7);
  append_big_endian(record, 3);
  append_big_endian(record, 17);
  EXPECT_EQ(record_name(Table::kRecords, record), "collection 3, record 17");
  append_big_endian(checkpoint, 12);
  EXPECT_EQ(record_name(Table::kCheckpoints, checkpoint + '\0'), "orders, checkpoint 12");
  EXPECT_EQ(record_name(Table::kCheckpoints, checkpoint + "\1window"),
            "orders, checkpoint 12, window");
  EXPECT_EQ(record_name(Table::kProcessors, "solarDemo"), "solarDemo");
  EXPECT_EQ(record_name(Table::kProcessors, "a\x01"), "0x6101");
}

}  // namespace
}  // namespace millrace::storage
