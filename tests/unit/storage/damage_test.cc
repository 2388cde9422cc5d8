// Damage to the file of the store: noticed, named, never believed, never a crash. What each trial
// breaks comes from a fixed seed.
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>

#include <xxhash.h>

#include "storage/checkpoints.h"
#include "storage/collections.h"
#include "storage/file_check.h"
#include "storage/identity.h"
#include "storage/index_entries.h"
#include "storage/processors.h"
#include "storage/record_envelope.h"
#include "storage/stats.h"
#include "store_fixture.h"

namespace millrace::storage {
namespace {

using Contents = std::map<std::pair<Table, std::string>, std::string>;
constexpr size_t kPage = 4096;

// Tables whose records are the caller's; the others are kept by the store or counted anew.
bool is_callers(Table table) {
  return table != Table::kMeta && table != Table::kSummaries &&
         table != Table::kCollectionStatistics;
}

class DamageTest : public StoreTest {
 protected:
  static constexpr int kProcessors = 60;

  // Fills a store with every kind of record, changes part of it so that there are free pages, and
  // keeps its bytes.
  void SetUp() override {
    StoreTest::SetUp();
    ASSERT_OK(open());
    ASSERT_OK(fill());
    close();
    older_ = load(file());
    ASSERT_OK(open());
    ASSERT_OK(change());
    contents_ = read_all();
    close();
    good_ = load(file());
    state_ = load(file("millrace.state"));
    ASSERT_GT(good_.size(), 60 * kPage);
  }

  Status fill() {
    return store_->write([&](WriteTransaction& txn) -> Status {
      for (int i = 0; i < kProcessors; ++i) {
        auto name = "processor" + std::to_string(i);
        MR_RETURN_IF_ERROR(Processors::put(txn, name, bson_of(std::string(200, 'd'), i)));
        MR_RETURN_IF_ERROR(Stats::put(txn, name, bson_of("stats", i)));
      }
      std::string window(20'000, 'w');
      for (int i = 0; i < 12; ++i) MR_RETURN_IF_ERROR(checkpoint(txn, i % 6, window));
      for (int i = 0; i < 800; ++i)
        MR_RETURN_IF_ERROR(insert_record(txn, 1, bson_of(std::string(i % 300, 'r'), i)).status());
      for (int i = 0; i < 800; ++i) {
        MR_RETURN_IF_ERROR(
            insert_index_entry(txn, 2, false, "key" + std::to_string(i * 7919 % 800), i).status());
      }
      return put_catalog_entry(txn, "db.things", bson_of("things", 1));
    });
  }
  Status change() {
    for (int round = 0; round < 5; ++round) {
      MR_RETURN_IF_ERROR(store_->write([&](WriteTransaction& txn) -> Status {
        for (RecordId i = 1 + round; i < 400; i += 7)
          MR_RETURN_IF_ERROR(erase_record(txn, 1, i).status());
        for (int i = round; i < kProcessors; i += 9) {
          MR_RETURN_IF_ERROR(Stats::put(txn, "processor" + std::to_string(i), bson_of("newer", i)));
        }
        return checkpoint(txn, round, std::string(12'000, 'n'));
      }));
    }
    return {};
  }
  static Status checkpoint(WriteTransaction& txn, int processor, std::string_view window) {
    std::vector<CheckpointBlobView> blobs = {{"source", 1, "offset"}, {"window", 1, window}};
    CheckpointHeader header;
    header.id = "id";
    return put_checkpoint(txn, "processor" + std::to_string(processor), header, blobs).status();
  }

  // Everything that can be read, by cursor.
  Contents read_all() {
    Contents contents;
    auto txn = std::move(store_->read()).value();
    for (const auto& row : kTables) {
      if (!is_callers(row.table)) continue;
      auto cursor = std::move(txn->cursor(row.table)).value();
      for (auto status = cursor->first(); !status.ok() || cursor->valid();
           status = cursor->next()) {
        if (status.ok()) contents[{row.table, std::string(cursor->key())}] = cursor->value();
      }
    }
    return contents;
  }

  void restore(std::string_view database) {
    save(file(), database);
    save(file("millrace.state"), state_);
  }

  // What a store made of `database` may do: refuse with a clear error, or open and hold nothing but
  // what was written; and less than everything only if it says so. It can be written to either way.
  // "" or what is wrong.
  std::string judge(std::string_view database, bool may_be_older = false) {
    restore(database);
    auto status = open();
    if (!status.ok()) {
      if (status.code() != 301 && status.code() != 12) return "refused with " + status.message();
      return status.message().empty() ? "refused without a word" : "";
    }
    auto found = read_all();
    for (const auto& damage : store_->damage())
      may_be_older |= damage.message == kLastTransactionLost;
    size_t missing = 0;
    for (const auto& [place, value] : contents_) missing += !found.contains(place);
    if (missing > 0 && store_->damage().empty())
      return "lost " + std::to_string(missing) + " records without a word";
    for (const auto& [place, value] : found) {
      auto expected = contents_.find(place);
      bool same = expected != contents_.end() && expected->second == value;
      if (!same && !(may_be_older && !store_->damage().empty()))
        return "believed " + record_name(place.first, place.second);
    }
    status = put(Table::kStats, "afterwards", "works");
    if (!status.ok()) return "cannot be written: " + status.message();
    bool salvaged = !store_->damage().empty();
    status = open();
    if (!status.ok()) return "does not open again: " + status.message();
    if (salvaged && !store_->damage().empty())
      return "is damaged again: " + store_->damage()[0].message;
    if (get(Table::kStats, "afterwards") != "works") return "lost what was written afterwards";
    for (const auto& entry : std::filesystem::directory_iterator(dir())) {
      if (entry.path().string().find("damaged-") != std::string::npos)
        std::filesystem::remove(entry.path());
    }
    return "";
  }

  // Runs trials in child processes, some in each, so that a crash would be seen and not end the
  // test.
  void run_trials(int trials, const std::function<std::string(std::mt19937&)>& damaged,
                  bool may_be_older = false) {
    constexpr int kPerChild = 25;
    // More of them by hand: MILLRACE_TRIALS=20 makes it twenty times as many.
    if (const char* factor = std::getenv("MILLRACE_TRIALS"))
      trials *= std::max(1, std::atoi(factor));
    for (int first = 0; first < trials; first += kPerChild) {
      int result = in_child([&] {
        for (int trial = first; trial < std::min(trials, first + kPerChild); ++trial) {
          std::mt19937 random(static_cast<unsigned>(trial));
          if (auto wrong = judge(damaged(random), may_be_older); !wrong.empty()) {
            std::printf(
                "trial %d: %s; %s\n", trial, wrong.c_str(),
                store_ && !store_->damage().empty() ? store_->damage()[0].message.c_str() : "");
            return false;
          }
          close();
        }
        return true;
      });
      ASSERT_EQ(result, 0) << "in trials from " << first;
    }
  }

  size_t pages() const { return good_.size() / kPage; }

  std::string older_, good_, state_;
  Contents contents_;
};

TEST_F(DamageTest, AnUndamagedFileIsSound) {
  auto checked = check_file(file(), {.known_as_ours = true});
  ASSERT_OK(checked.status);
  EXPECT_TRUE(checked.damage.empty()) << checked.damage[0].message;
  EXPECT_EQ(judge(good_), "");
}

TEST_F(DamageTest, FilesOfManyShapesAreSound) {
  // The check knows LMDB's layout from its description; here LMDB makes trees of all kinds for it.
  std::mt19937 random(11);
  ASSERT_OK(open());
  for (int round = 0; round < 60; ++round) {
    ASSERT_OK(store_->write([&](WriteTransaction& txn) -> Status {
      for (int i = 0; i < 150; ++i) {
        auto table = kTables[random() % (kTableCount - 1)].table;
        if (!is_callers(table)) continue;
        auto key = std::to_string(random() % 2000) +
                   std::string(random() % 8 == 0 ? random() % 500 : random() % 20, 'k');
        size_t bytes = random() % 12 == 0 ? random() % 20'000 : random() % 400;
        if (random() % 5 < 2) {
          MR_RETURN_IF_ERROR(txn.erase_prefix(table, key.substr(0, 2)).status());
        } else {
          MR_RETURN_IF_ERROR(txn.put(table, key, std::string(bytes, 'v')));
        }
      }
      return {};
    }));
    auto checked = check_file(file(), {.known_as_ours = true});
    ASSERT_OK(checked.status);
    ASSERT_TRUE(checked.damage.empty()) << "round " << round << ": " << checked.damage[0].message;
  }
}

TEST_F(DamageTest, FlippedBits) {
  run_trials(250, [&](std::mt19937& random) {
    auto bytes = good_;
    for (int flips = 1 + random() % 2; flips > 0; --flips) {
      size_t page = random() % 4 == 0 ? random() % 2 : random() % pages();
      // Half of them where pages say how they are made.
      size_t offset = page * kPage + (random() % 2 ? random() % 64 : random() % kPage);
      if (page < 2) offset = page * kPage + random() % 160;
      bytes[offset] = static_cast<char>(bytes[offset] ^ (1 << random() % 8));
    }
    return bytes;
  });
}

TEST_F(DamageTest, ZeroedSectorsAndPages) {
  run_trials(75, [&](std::mt19937& random) {
    auto bytes = good_;
    size_t unit = random() % 2 ? 512 : kPage;
    size_t at = random() % (bytes.size() / unit) * unit;
    std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(at), unit, '\0');
    return bytes;
  });
}

TEST_F(DamageTest, SwappedAndDoubledPages) {
  run_trials(75, [&](std::mt19937& random) {
    auto bytes = good_;
    size_t a = random() % pages(), b = random() % pages();
    auto page_a = bytes.substr(a * kPage, kPage), page_b = bytes.substr(b * kPage, kPage);
    bytes.replace(a * kPage, kPage, page_b);
    if (random() % 2) bytes.replace(b * kPage, kPage, page_a);
    return bytes;
  });
}

TEST_F(DamageTest, PagesOfAnEarlierDay) {
  // Each such page is sound in itself: only what the table adds up to tells.
  run_trials(
      75,
      [&](std::mt19937& random) {
        auto bytes = good_;
        size_t page = random() % (std::min(older_.size(), good_.size()) / kPage);
        bytes.replace(page * kPage, kPage, older_.substr(page * kPage, kPage));
        return bytes;
      },
      true);
}

TEST_F(DamageTest, CutFiles) {
  run_trials(50, [&](std::mt19937& random) {
    return good_.substr(0, random() % 3 ? random() % pages() * kPage : random() % good_.size());
  });
}

TEST_F(DamageTest, RandomBytes) {
  run_trials(25, [&](std::mt19937& random) {
    auto bytes = good_;
    size_t from = random() % 3 ? random() % bytes.size() : 0, count = random() % 10'000;
    for (size_t i = from; i < std::min(bytes.size(), from + count); ++i)
      bytes[i] = static_cast<char>(random());
    return bytes;
  });
}

TEST_F(DamageTest, AnOlderFilePutBackIsRefused) {
  restore(older_);
  auto status = open();
  EXPECT_EQ(status.code(), 301);
  EXPECT_NE(status.message().find("is older than it should be"), std::string::npos)
      << status.message();
  EXPECT_EQ(load(file()), older_);
  // As the message says.
  std::filesystem::remove(file("millrace.state"));
  ASSERT_OK(open());
  EXPECT_TRUE(store_->damage().empty());
}

TEST_F(DamageTest, ALostMetaPageCostsTheLastTransactionAndSaysSo) {
  restore(good_);
  auto last = check_file(file(), {.known_as_ours = true}).transaction;
  auto bytes = good_;
  bytes[last % 2 * kPage + 16] ^= 1;  // its magic number
  restore(bytes);
  std::filesystem::remove(file("millrace.state"));  // where a copy of the page is
  ASSERT_OK(open());
  ASSERT_EQ(store_->damage().size(), 3u);
  EXPECT_NE(store_->damage()[0].message.find("its magic number is missing"), std::string::npos);
  EXPECT_EQ(store_->damage()[1].message, kLastTransactionLost);
}

TEST_F(DamageTest, LostMetaPagesAreTakenFromTheStateFile) {
  auto last = check_file(file(), {.known_as_ours = true}).transaction;
  auto other_way = good_, one = good_, both = good_;
  other_way[last % 2 * kPage + 16 + 72 + 40] ^= 1;  // the root of the trees: LMDB would not notice
  std::fill_n(one.begin() + static_cast<ptrdiff_t>(last % 2 * kPage), kPage, '\0');
  std::fill_n(both.begin(), 2 * kPage, '\0');
  for (const auto& bytes : {other_way, one, both}) {
    close();
    EXPECT_EQ(judge(bytes), "");
    close();
    restore(bytes);
    ASSERT_OK(open());
    EXPECT_FALSE(store_->damage().empty());
    for (const auto& damage : store_->damage()) EXPECT_NE(damage.message, kLastTransactionLost);
    auto found = read_all();
    for (const auto& [place, value] : contents_) {
      if (place.first == Table::kIndexes) continue;
      EXPECT_EQ(found[place], value);
    }
  }
  // Of no use for a file that is quite another one.
  close();
  restore(std::string(20 * kPage, 'z'));
  EXPECT_EQ(open().code(), 301);
  EXPECT_EQ(load(file()), std::string(20 * kPage, 'z'));
}

TEST_F(DamageTest, AnImpossibleNumberOfPagesIsNoticed) {
  for (int bit : {12, 20, 40, 55}) {
    restore(good_);
    auto last = check_file(file(), {.known_as_ours = true}).transaction;
    auto bytes = good_;
    bytes[last % 2 * kPage + 16 + 120 + bit / 8] ^= static_cast<char>(1 << bit % 8);
    restore(bytes);
    EXPECT_FALSE(check_file(file(), {.known_as_ours = true}).damage.empty()) << bit;
    EXPECT_EQ(judge(bytes), "");
  }
}

TEST_F(DamageTest, RefusingLeavesTheFileAlone) {
  auto bytes = good_;
  auto at = bytes.find(std::string(1000, 'n'));
  ASSERT_NE(at, std::string::npos);
  bytes[at + 10] = 'X';
  restore(bytes);
  auto options = quick();
  options.on_damage = OnDamage::kRefuse;
  auto status = open(options);
  EXPECT_EQ(status.code(), 301);
  EXPECT_NE(status.message().find("record \"processor"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("window"), std::string::npos) << status.message();
  EXPECT_EQ(load(file()), bytes);
}

TEST_F(DamageTest, ADamagedCheckpointFallsBackAndTheOthersAreUnharmed) {
  ASSERT_OK(open());
  ASSERT_OK(store_->write(
      [](WriteTransaction& txn) { return checkpoint(txn, 3, std::string(20'000, 'Q')); }));
  close();
  auto bytes = load(file());
  auto at = bytes.find(std::string(5000, 'Q'));
  ASSERT_NE(at, std::string::npos);
  bytes[at + 100] = 'X';
  save(file(), bytes);
  ASSERT_OK(open());
  ASSERT_EQ(store_->damage().size(), 2u);
  EXPECT_EQ(store_->damage()[0].table, "checkpoints");
  EXPECT_EQ(store_->damage()[0].record, "processor3, checkpoint 4, window");
  EXPECT_NE(store_->damage()[1].message.find("the damaged file is kept as"), std::string::npos);
  auto txn = std::move(store_->read()).value();
  auto damaged = read_checkpoint(*txn, "processor3").value();
  ASSERT_TRUE(damaged.checkpoint);
  EXPECT_EQ(damaged.checkpoint->header.sequence, 3);
  ASSERT_EQ(damaged.damaged.size(), 1u);
  EXPECT_EQ(damaged.damaged[0], "window of processor3, checkpoint 4 is missing");
  EXPECT_TRUE(read_checkpoint(*txn, "processor2").value().damaged.empty());
  EXPECT_EQ(collection_statistics(*txn, 1).value().records,
            std::count_if(contents_.begin(), contents_.end(),
                          [](auto& entry) { return entry.first.first == Table::kRecords; }));
}

TEST_F(DamageTest, IndexEntriesAreLeftBehindWithTheDamagedFile) {
  // An entry whose document is lost would keep its key from ever being used again.
  auto bytes = good_;
  std::string text(250, 'r');  // of some documents, and of copies of them on pages that are free
  for (auto at = bytes.find(text); at != std::string::npos; at = bytes.find(text, at + 1))
    bytes[at] = 'X';
  restore(bytes);
  for (int start = 0; start < 2; ++start) {  // until it is said that they are there again
    ASSERT_OK(open());
    EXPECT_EQ(store_->damage().empty(), start == 1);
    auto txn = std::move(store_->read()).value();
    EXPECT_TRUE(index_entries_lost(*txn).value());
    auto cursor = std::move(txn->cursor(Table::kIndexes)).value();
    ASSERT_OK(cursor->first());
    EXPECT_FALSE(cursor->valid());
    cursor.reset();
    txn.reset();
    close();
  }
  ASSERT_OK(open());
  ASSERT_OK(store_->write([](WriteTransaction& txn) { return index_entries_made_anew(txn); }));
  ASSERT_OK(open());
  auto txn = std::move(store_->read()).value();
  EXPECT_FALSE(index_entries_lost(*txn).value());
}

TEST_F(DamageTest, ARecordDamagedWhileTheStoreIsOpenIsReportedByName) {
  ASSERT_OK(open());
  // LMDB maps the file shared: a change of the file is a change of what it reads.
  auto bytes = load(file());
  auto at = bytes.find(std::string(1000, 'n'));
  {
    std::fstream out(file(), std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(static_cast<std::streamoff>(at + 10));
    out.put('X');
  }
  auto found = read_all();
  EXPECT_LT(found.size(), contents_.size());
  for (const auto& [place, value] : found) EXPECT_EQ(value, contents_[place]);
  int fallen_back = 0;
  auto txn = std::move(store_->read()).value();
  for (int i = 0; i < 6; ++i) {
    auto result = read_checkpoint(*txn, "processor" + std::to_string(i)).value();
    ASSERT_TRUE(result.checkpoint);
    if (result.damaged.empty()) continue;
    ++fallen_back;
    EXPECT_NE(result.damaged[0].find("window\" in table checkpoints is damaged"), std::string::npos)
        << result.damaged[0];
  }
  EXPECT_LE(fallen_back, 1);
}

// As seal_record, for a version of this kind of record that does not exist yet.
std::string seal_newer(Table table, std::string_view key, std::string_view payload) {
  std::string sealed(kEnvelopeBytes + payload.size(), '\0');
  seal_record(table, key, payload, sealed.data());
  sealed[1] = static_cast<char>(table_row(table).version + 1);
  uint64_t seed;
  std::memcpy(&seed, sealed.data(), 8);
  seed = XXH3_64bits_withSeed(key.data(), key.size(), seed);
  uint64_t checksum = XXH3_64bits_withSeed(payload.data(), payload.size(), seed);
  std::memcpy(sealed.data() + 8, &checksum, 8);
  return sealed;
}

std::string seal(Table table, std::string_view key, std::string_view payload) {
  std::string sealed(kEnvelopeBytes + payload.size(), '\0');
  seal_record(table, key, payload, sealed.data());
  return sealed;
}

TEST_F(DamageTest, ARecordOfANewerVersionIsItsOwnErrorAndNoDamage) {
  ASSERT_OK(open());
  ASSERT_OK(put(Table::kStats, "newer", "from the future"));
  auto summary_bytes = get(Table::kSummaries, "stats");
  close();
  auto bytes = load(file());
  auto replace_all = [&](const std::string& from, const std::string& to) {
    size_t replaced = 0;
    for (size_t at = bytes.find(from); at != std::string::npos;
         at = bytes.find(from, at + 1), ++replaced) {
      bytes.replace(at, from.size(), to);
    }
    EXPECT_GT(replaced, 0u);
  };
  auto known = seal(Table::kStats, "newer", "from the future"),
       newer = seal_newer(Table::kStats, "newer", "from the future");
  TableSummary summary;
  ASSERT_EQ(summary_bytes.size(), sizeof(summary));
  std::memcpy(&summary, summary_bytes.data(), sizeof(summary));
  summary.checksums += stored_checksum(newer) - stored_checksum(known);
  replace_all(known, newer);
  replace_all(
      seal(Table::kSummaries, "stats", summary_bytes),
      seal(Table::kSummaries, "stats", {reinterpret_cast<const char*>(&summary), sizeof(summary)}));
  save(file(), bytes);
  ASSERT_OK(open());
  EXPECT_TRUE(store_->damage().empty());
  EXPECT_EQ(get(Table::kStats, "newer"), "(error 12)");
  auto list = Stats::list(*std::move(store_->read()).value()).value();
  ASSERT_EQ(list.damaged.size(), 1u);
  EXPECT_EQ(list.damaged[0].message(),
            "record \"newer\" in table stats was written by a newer version of Millrace");
  EXPECT_EQ(list.documents.size(), static_cast<size_t>(kProcessors));
}

}  // namespace
}  // namespace millrace::storage
