// The write commands that one batch of $merge becomes: update, insert and delete statements for one
// collection, in the order that keeps every key's history.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "engine/document/arena.h"
#include "engine/sink/merge.h"

namespace millrace::engine {

// A document that the target refused.
struct RefusedDocument {
  size_t item;  // its index in the batch
  std::string reason;
};

// Collects statements and runs them. Single-threaded. After an error: clear(), then the whole batch
// may be written again.
class MergeCommands {
 public:
  MergeCommands(const MergePlan& plan, ClusterClient& client, std::vector<RefusedDocument>& refused)
      : plan_(plan), client_(client), refused_(refused) {}

  // What follows goes to this collection. Requires: nothing is collected.
  void set_target(std::string_view database, std::string_view collection) {
    database_ = database;
    collection_ = collection;
  }
  // One document. `route` is missing where everything is fixed; both must live until run() returns.
  // May run commands.
  Status add(size_t item, const Value& document, const Value& route);
  // Sends what is collected.
  Status run();
  void clear();

 private:
  struct Statement {
    size_t item;
    Value document;
  };
  // One command under construction: its array of statements is open.
  struct Command {
    BsonWriter writer;
    std::vector<Statement> statements;
  };

  Status add_statement(const Statement& statement, const Value& route);
  void open(Command& command, std::string_view name, std::string_view array);
  void append_query(BsonWriter& writer, const Value& document);
  void add_update(const Statement& statement, WhenMatched action, bool upsert, const Value& let);
  void add_delete(const Statement& statement);
  void add_insert(const Statement& statement);
  Status toggle(const Statement& statement);

  Status send(Command& command, int64_t* count, bool absent_only);
  Status take_errors(const Command& command, const Value& errors, bool absent_only);
  Value key_value(const Value& document, const FieldPath& path);
  uint64_t key_hash(const Value& document);
  std::string place() const { return database_ + "." + collection_; }

  const MergePlan& plan_;
  ClusterClient& client_;
  std::vector<RefusedDocument>& refused_;
  std::string database_;
  std::string collection_;

  Command updates_;
  Command deletes_;
  Command inserts_;  // documents to insert where their key is not there yet
  std::vector<Statement>
      insert_later_;  // documents of pipeline updates, inserted if the update finds nothing
  std::unordered_set<uint64_t>
      keys_;  // hashes of the `on` values in the commands: none occurs twice
  size_t bytes_ = 0;
  Arena arena_;
};

}  // namespace millrace::engine
