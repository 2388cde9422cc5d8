// The kinds of records: named documents, checkpoints, local collections, index entries.
#include <algorithm>
#include <map>
#include <random>

#include "storage/checkpoints.h"
#include "storage/collections.h"
#include "storage/connections.h"
#include "storage/index_entries.h"
#include "storage/processors.h"
#include "storage/record_envelope.h"
#include "storage/stats.h"
#include "store_fixture.h"

namespace millrace::storage {
namespace {

class RecordsTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    ASSERT_OK(open());
  }
  // The result of `work` in a write transaction that commits.
  template <typename Work>
  auto write(Work work) {
    decltype(work(std::declval<WriteTransaction&>()).value()) value{};
    auto status = store_->write([&](WriteTransaction& txn) -> Status {
      MR_ASSIGN_OR_RETURN(value, work(txn));
      return {};
    });
    EXPECT_TRUE(status.ok()) << status.message();
    return value;
  }
  std::unique_ptr<ReadTransaction> read() { return std::move(store_->read()).value(); }
};

TEST_F(RecordsTest, DocumentsByName) {
  ASSERT_OK(store_->write([](WriteTransaction& txn) -> Status {
    MR_RETURN_IF_ERROR(Processors::put(txn, "b", bson_of("b", 1)));
    MR_RETURN_IF_ERROR(Processors::put(txn, "a", bson_of("a", 1)));
    MR_RETURN_IF_ERROR(Processors::put(txn, "a", bson_of("a", 2)));
    MR_RETURN_IF_ERROR(Connections::put(txn, "a", bson_of("connection", 3)));
    return Stats::put(txn, "a", bson_of("stats", 4));
  }));
  EXPECT_EQ(Processors::get(*read(), "a").value()->bytes(), bson_of("a", 2));
  EXPECT_EQ(Connections::get(*read(), "a").value()->bytes(), bson_of("connection", 3));
  EXPECT_EQ(Stats::get(*read(), "a").value()->get("number").as_int64(), 4);
  EXPECT_FALSE(Stats::get(*read(), "b").value().has_value());
  auto list = Processors::list(*read()).value();
  ASSERT_EQ(list.documents.size(), 2u);
  EXPECT_TRUE(list.damaged.empty());
  EXPECT_EQ(list.documents[0].name, "a");
  EXPECT_EQ(list.documents[1].document.bytes(), bson_of("b", 1));
  EXPECT_TRUE(write([](WriteTransaction& txn) { return Processors::erase(txn, "a"); }));
  EXPECT_EQ(Processors::list(*read()).value().documents.size(), 1u);
  EXPECT_EQ(
      store_->write([](WriteTransaction& txn) { return Processors::put(txn, "", bson_of("a", 1)); })
          .code(),
      2);
}

CheckpointHeader header(std::string id, int64_t time_ms) {
  CheckpointHeader header;
  header.id = std::move(id);
  header.time_ms = time_ms;
  header.details = engine::Document(bson_of("details", time_ms));
  return header;
}

int64_t put_generation(Store& store, std::string_view processor, int number) {
  int64_t sequence = 0;
  std::string window(static_cast<size_t>(number) * 10'000, 'w');
  std::vector<CheckpointBlobView> blobs = {
      {"source", 1, "offset"}, {"stage 2 $tumblingWindow", 7, window}, {"sink", 1, ""}};
  auto status = store.write([&](WriteTransaction& txn) -> Status {
    MR_ASSIGN_OR_RETURN(
        sequence,
        put_checkpoint(txn, processor, header("id" + std::to_string(number), number), blobs));
    return {};
  });
  EXPECT_TRUE(status.ok()) << status.message();
  return sequence;
}

TEST_F(RecordsTest, TheNewestCheckpointIsReadWhole) {
  EXPECT_FALSE(read_checkpoint(*read(), "p").value().checkpoint.has_value());
  EXPECT_EQ(put_generation(*store_, "p", 1), 1);
  EXPECT_EQ(put_generation(*store_, "p", 2), 2);
  EXPECT_EQ(put_generation(*store_, "pp", 9), 1);  // another processor, whose name begins alike
  ASSERT_OK(open());
  auto result = read_checkpoint(*read(), "p").value();
  ASSERT_TRUE(result.checkpoint);
  EXPECT_TRUE(result.damaged.empty());
  EXPECT_EQ(result.checkpoint->header.id, "id2");
  EXPECT_EQ(result.checkpoint->header.sequence, 2);
  EXPECT_EQ(result.checkpoint->header.time_ms, 2);
  EXPECT_EQ(result.checkpoint->header.bytes, 20'006u);
  EXPECT_EQ(result.checkpoint->header.details.bytes(), bson_of("details", 2));
  ASSERT_EQ(result.checkpoint->blobs.size(), 3u);
  EXPECT_EQ(result.checkpoint->blobs[0].name, "source");
  EXPECT_EQ(result.checkpoint->find("stage 2 $tumblingWindow")->bytes, std::string(20'000, 'w'));
  EXPECT_EQ(result.checkpoint->find("stage 2 $tumblingWindow")->version, 7);
  EXPECT_EQ(result.checkpoint->find("sink")->bytes, "");
  EXPECT_EQ(result.checkpoint->find("other"), nullptr);
}

TEST_F(RecordsTest, TwoGenerationsAreKeptAndSequencesGoOn) {
  for (int i = 1; i <= 5; ++i) EXPECT_EQ(put_generation(*store_, "p", i), i);
  auto list = list_checkpoints(*read(), "p").value();
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].id, "id5");
  EXPECT_EQ(list[1].id, "id4");
  auto txn = read();
  auto cursor = std::move(txn->cursor(Table::kCheckpoints)).value();
  int records = 0;
  for (auto status = cursor->first(); status.ok() && cursor->valid(); status = cursor->next())
    ++records;
  EXPECT_EQ(records, 2 * 4);
  cursor.reset();
  txn.reset();
  EXPECT_TRUE(write([](WriteTransaction& txn) { return erase_checkpoints(txn, "p"); }));
  EXPECT_FALSE(write([](WriteTransaction& txn) { return erase_checkpoints(txn, "p"); }));
  auto result = read_checkpoint(*read(), "p");
  ASSERT_OK(result);
  EXPECT_FALSE(result->checkpoint.has_value());
}

TEST_F(RecordsTest, AMissingPartFallsBackToTheGenerationBefore) {
  put_generation(*store_, "p", 1);
  put_generation(*store_, "p", 2);
  std::string blob("p\0", 2);
  append_big_endian(blob, 2);
  EXPECT_TRUE(write(
      [&](WriteTransaction& txn) { return txn.erase(Table::kCheckpoints, blob + "\1source"); }));
  auto result = read_checkpoint(*read(), "p").value();
  ASSERT_TRUE(result.checkpoint);
  EXPECT_EQ(result.checkpoint->header.id, "id1");
  ASSERT_EQ(result.damaged.size(), 1u);
  EXPECT_EQ(result.damaged[0], "source of p, checkpoint 2 is missing");
  // The next one gets a number of its own, and the sound one before it stays.
  EXPECT_EQ(put_generation(*store_, "p", 3), 3);
  EXPECT_TRUE(read_checkpoint(*read(), "p").value().damaged.empty());
}

TEST_F(RecordsTest, ABlobOfAnotherGenerationIsNotBelieved) {
  put_generation(*store_, "p", 1);
  put_generation(*store_, "p", 2);
  std::string blob("p\0", 2);
  append_big_endian(blob, 2);
  ASSERT_OK(store_->write([&](WriteTransaction& txn) {
    return txn.put(Table::kCheckpoints, blob + "\1source", "offseT");
  }));
  EXPECT_EQ(read_checkpoint(*read(), "p").value().checkpoint->header.id, "id1");
}

TEST_F(RecordsTest, LosingEveryGenerationIsAnErrorAndNotABeginning) {
  put_generation(*store_, "p", 1);
  EXPECT_GT(
      write([&](WriteTransaction& txn) { return txn.erase_prefix(Table::kCheckpoints, "p"); }), 0);
  auto result = read_checkpoint(*read(), "p");
  EXPECT_EQ(result.status().code(), 301);
  EXPECT_NE(result.status().message().find("no sound checkpoint left"), std::string::npos);
}

TEST_F(RecordsTest, CheckpointNamesThatDoNotFitAreRefused) {
  auto put = [&](std::string_view processor, std::string_view blob) {
    std::vector<CheckpointBlobView> blobs = {{blob, 1, "x"}};
    return store_->write([&](WriteTransaction& txn) {
      return put_checkpoint(txn, processor, header("i", 1), blobs).status();
    });
  };
  EXPECT_EQ(put("", "b").code(), 2);
  EXPECT_EQ(put(std::string_view("a\0b", 3), "b").code(), 2);
  EXPECT_EQ(put("p", std::string(480, 'b')).code(), 2);
  ASSERT_OK(put("p", std::string(479, 'b')));
}

TEST_F(RecordsTest, CollectionsKeepDocumentsInTheOrderOfInsertion) {
  auto id = write([](WriteTransaction& txn) { return next_catalog_id(txn); });
  auto other = write([](WriteTransaction& txn) { return next_catalog_id(txn); });
  EXPECT_NE(id, other);
  std::vector<RecordId> ids;
  ASSERT_OK(store_->write([&](WriteTransaction& txn) -> Status {
    ids.clear();
    for (int i = 0; i < 1000; ++i) {
      MR_ASSIGN_OR_RETURN(auto record, insert_record(txn, id, bson_of("doc", i)));
      ids.push_back(record);
      MR_RETURN_IF_ERROR(insert_record(txn, other, bson_of("other", i)).status());
    }
    return put_catalog_entry(txn, "db.things", bson_of("things", 1));
  }));
  auto statistics = collection_statistics(*read(), id).value();
  EXPECT_EQ(statistics.records, 1000);
  EXPECT_EQ(statistics.bytes, static_cast<int64_t>(1000 * bson_of("doc", 1).size()));
  {
    auto txn = read();
    auto cursor = RecordCursor::open(*txn, id);
    ASSERT_OK(cursor);
    int i = 0;
    for (auto status = cursor->first(); status.ok() && cursor->valid();
         status = cursor->next(), ++i) {
      EXPECT_EQ(cursor->record(), ids[i]);
      EXPECT_EQ(cursor->bson(), bson_of("doc", i));
    }
    EXPECT_EQ(i, 1000);
    ASSERT_OK(cursor->seek(ids[500]));
    EXPECT_EQ(cursor->record(), ids[500]);
    ASSERT_OK(cursor->seek_before(ids[500]));
    EXPECT_EQ(cursor->record(), ids[499]);
    ASSERT_OK(cursor->last());
    EXPECT_EQ(cursor->record(), ids[999]);
  }
  EXPECT_TRUE(write([&](WriteTransaction& txn) { return erase_record(txn, id, ids[999]); }));
  EXPECT_FALSE(write([&](WriteTransaction& txn) { return erase_record(txn, id, ids[999]); }));
  EXPECT_TRUE(write([&](WriteTransaction& txn) {
    return replace_record(txn, id, ids[0], bson_of("longer name", 0));
  }));
  EXPECT_FALSE(
      write([&](WriteTransaction& txn) { return replace_record(txn, id, 5000, bson_of("x", 0)); }));
  ASSERT_OK(open());
  statistics = collection_statistics(*read(), id).value();
  EXPECT_EQ(statistics.records, 999);
  EXPECT_EQ(statistics.bytes, static_cast<int64_t>(999 * bson_of("doc", 1).size() + 8));
  EXPECT_EQ(get_record(*read(), id, ids[0]).value(), bson_of("longer name", 0));
  auto fresh =
      write([&](WriteTransaction& txn) { return insert_record(txn, id, bson_of("new", 1)); });
  EXPECT_GT(fresh, ids[999]) << "a record id must not be given twice";
  EXPECT_EQ(write([&](WriteTransaction& txn) { return erase_all_records(txn, id); }), 1000);
  EXPECT_EQ(collection_statistics(*read(), id).value().records, 0);
  EXPECT_EQ(collection_statistics(*read(), other).value().records, 1000);
}

TEST_F(RecordsTest, TheCatalogListsOneDatabase) {
  ASSERT_OK(store_->write([](WriteTransaction& txn) -> Status {
    for (const char* ns : {"a.x", "ab.y", "b.x", "b.y"})
      MR_RETURN_IF_ERROR(put_catalog_entry(txn, ns, bson_of(ns, 1)));
    return {};
  }));
  EXPECT_EQ(list_catalog(*read()).value().size(), 4u);
  auto b = list_catalog(*read(), "b.").value();
  ASSERT_EQ(b.size(), 2u);
  EXPECT_EQ(b[0].ns, "b.x");
  EXPECT_EQ(list_catalog(*read(), "a.").value().size(), 1u);
  EXPECT_EQ(get_catalog_entry(*read(), "ab.y").value()->bytes(), bson_of("ab.y", 1));
  EXPECT_TRUE(write([](WriteTransaction& txn) { return erase_catalog_entry(txn, "a.x"); }));
  EXPECT_FALSE(get_catalog_entry(*read(), "a.x").value().has_value());
}

TEST_F(RecordsTest, AUniqueIndexNamesTheRecordThatHasTheKey) {
  auto insert = [&](std::string_view key, RecordId record) {
    return write(
        [&](WriteTransaction& txn) { return insert_index_entry(txn, 1, true, key, record); });
  };
  std::string length_470(470, 'k'), length_471(471, 'k'), length_900(900, 'k');
  RecordId record = 0;
  for (const auto& key : {std::string("a"), length_470, length_471, length_900}) {
    ++record;
    EXPECT_TRUE(insert(key, record).inserted);
    EXPECT_TRUE(insert(key, record).inserted) << "the same pair again";
    auto refused = insert(key, 99);
    EXPECT_FALSE(refused.inserted);
    EXPECT_EQ(refused.existing, record);
    EXPECT_EQ(find_unique(*read(), 1, key).value(), record);
  }
  EXPECT_FALSE(find_unique(*read(), 2, "a").value().has_value());
  EXPECT_FALSE(write(
      [&](WriteTransaction& txn) { return erase_index_entry(txn, 1, true, length_900, 99); }));
  EXPECT_TRUE(
      write([&](WriteTransaction& txn) { return erase_index_entry(txn, 1, true, length_900, 4); }));
  EXPECT_TRUE(insert(length_900, 99).inserted);
}

TEST_F(RecordsTest, IndexEntriesStandInTheOrderOfKeysAlsoVeryLongOnes) {
  std::mt19937 random(7);
  std::multimap<std::string, RecordId> model;
  ASSERT_OK(store_->write([&](WriteTransaction& txn) -> Status {
    model.clear();
    for (RecordId record = 1; record <= 2000; ++record) {
      // A few beginnings and many lengths around the limit; the last byte ends the key (no key is
      // the beginning of another).
      std::string key(random() % 600, static_cast<char>('a' + random() % 3));
      key += std::to_string(random() % 100) + '\0';
      model.emplace(key, record);
      MR_RETURN_IF_ERROR(insert_index_entry(txn, 5, false, key, record).status());
      MR_RETURN_IF_ERROR(insert_index_entry(txn, 6, false, "x", record).status());
    }
    return {};
  }));
  std::map<RecordId, std::string> keys;
  for (const auto& [key, record] : model) keys[record] = key;
  auto txn = read();
  auto cursor = IndexCursor::open(*txn, 5, false);
  ASSERT_OK(cursor);
  std::string previous;
  size_t seen = 0, cut = 0;
  for (auto status = cursor->first(); status.ok() && cursor->valid();
       status = cursor->next(), ++seen) {
    const auto& whole = keys[cursor->record()];
    EXPECT_EQ(cursor->truncated(), whole.size() > kMaxIndexKeyBytes);
    EXPECT_EQ(cursor->key(), cursor->truncated() ? whole.substr(0, kCutKeyBytes) : whole);
    EXPECT_LE(previous.substr(0, kCutKeyBytes), whole.substr(0, kCutKeyBytes));
    previous = whole;
    cut += cursor->truncated();
  }
  EXPECT_EQ(seen, 2000u);
  EXPECT_GT(cut, 100u);
  // A scan from any bound misses nothing, in both directions.
  for (int i = 0; i < 200; ++i) {
    auto bound = std::next(model.begin(), random() % model.size())->first;
    if (i % 2) bound += 'm';
    std::vector<RecordId> forward, expected_forward, backward, expected_backward;
    for (auto status = cursor->seek(bound); status.ok() && cursor->valid();
         status = cursor->next()) {
      if (keys[cursor->record()] >= bound) forward.push_back(cursor->record());
    }
    for (auto status = cursor->seek_before(bound); status.ok() && cursor->valid();
         status = cursor->previous()) {
      if (keys[cursor->record()] < bound) backward.push_back(cursor->record());
    }
    for (const auto& [key, record] : model)
      (key >= bound ? expected_forward : expected_backward).push_back(record);
    for (auto* list : {&forward, &expected_forward, &backward, &expected_backward})
      std::sort(list->begin(), list->end());
    ASSERT_EQ(forward, expected_forward);
    ASSERT_EQ(backward, expected_backward);
  }
  txn.reset();
}

TEST_F(RecordsTest, IndexEntriesAreErasedOneByOneAndAltogether) {
  for (RecordId record = 1; record <= 3; ++record) {
    EXPECT_TRUE(write([&](WriteTransaction& txn) {
                  return insert_index_entry(txn, 5, false, "k", record);
                }).inserted);
  }
  EXPECT_TRUE(
      write([](WriteTransaction& txn) { return erase_index_entry(txn, 5, false, "k", 2); }));
  EXPECT_FALSE(
      write([](WriteTransaction& txn) { return erase_index_entry(txn, 5, false, "k", 2); }));
  EXPECT_EQ(write([](WriteTransaction& txn) { return erase_all_index_entries(txn, 5); }), 2);
}

}  // namespace
}  // namespace millrace::storage
