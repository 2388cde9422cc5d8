#include "storage/file_check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "storage/data_directory.h"
#include "storage/identity.h"
#include "storage/io_error.h"
#include "storage/lmdb_pages.h"
#include "storage/record_envelope.h"

namespace millrace::storage {
namespace {

constexpr uint16_t kFreeTreeFlags = 0x4008;  // MDB_NOSUBDIR of our environment and MDB_INTEGERKEY
using Bound = std::optional<std::string>;

// One tree of the file while it is walked.
struct Tree {
  std::string name;
  LmdbTree facts;
  bool integer_keys = false;
  std::optional<Table> table;
  // What the walk found.
  uint64_t branch_pages = 0, leaf_pages = 0, overflow_pages = 0, entries = 0;
  TableSummary sum;
  bool damaged = false;
};

bool key_less(const Tree& tree, std::string_view a, std::string_view b) {
  if (!tree.integer_keys || a.size() != 8 || b.size() != 8) return a < b;
  uint64_t x, y;
  std::memcpy(&x, a.data(), 8);
  std::memcpy(&y, b.data(), 8);
  return x < y;
}

class FileChecker {
 public:
  FileChecker(const std::string& path, const FileCheckOptions& options,
              const RecordVisitor& visitor)
      : path_(path), options_(options), visitor_(visitor) {}

  FileCheck run() {
    open();
    if (result_.status.ok()) read_metas();
    if (result_.status.ok() && !options_.metas_only) walk_everything();
    // Without its first pages a file that does not say either what it is may be any file.
    if (result_.status.ok() && !nothing_left_.ok() && !result_.identity)
      result_.status = nothing_left_;
    return std::move(result_);
  }

 private:
  void open();
  void read_metas();
  std::string meta_problem(const LmdbMeta& meta, size_t slot) const;
  bool choose_copy(const std::array<LmdbMeta, 2>& metas,
                   const std::array<std::string, 2>& problems);
  void choose_meta(const std::array<LmdbMeta, 2>& metas,
                   const std::array<std::string, 2>& problems);
  void walk_everything();
  void find_tables();
  void walk_tree(Tree& tree);
  void walk_page(Tree& tree, uint64_t number, int level, const Bound& lower, const Bound& upper);
  void walk_branch(Tree& tree, const LmdbPage& page, int level, const Bound& lower,
                   const Bound& upper);
  void walk_leaf(Tree& tree, const LmdbPage& page, uint64_t number, const Bound& lower,
                 const Bound& upper);
  bool read_value(Tree& tree, const LmdbNode& node, std::string& buffer, std::string_view& value);
  void check_record(Tree& tree, std::string_view key, std::string_view stored);
  void read_free_pages(std::string_view key, std::string_view value);
  void check_free_list();
  void check_summaries();

  bool read_at(uint64_t offset, char* out, size_t bytes);
  bool claim(Tree& tree, uint64_t number, uint64_t count);
  void report(std::string table, std::string record, std::string message);
  void report_page(Tree& tree, uint64_t number, const std::string& what) {
    tree.damaged = true;
    report(tree.name, "",
           fmt::format("page {} of table {} is damaged: {}", number, tree.name, what));
  }

  const std::string& path_;
  const FileCheckOptions& options_;
  const RecordVisitor& visitor_;
  FileDescriptor fd_;
  uint64_t file_bytes_ = 0;
  LmdbMeta meta_{};
  size_t page_bytes_ = 0;
  std::vector<bool> claimed_;  // pages of the file that have an owner
  std::vector<Tree> tables_;
  std::vector<uint64_t> free_pages_;
  std::array<std::optional<TableSummary>, kTableCount> summaries_;
  Status nothing_left_;  // not ok: both meta pages are lost
  FileCheck result_;
};

void FileChecker::open() {
  fd_ = FileDescriptor(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info;
  if (!fd_.valid() || fstat(fd_.get(), &info) != 0) {
    result_.status = io_error(errno, "opening " + path_);
    return;
  }
  file_bytes_ = info.st_size;
}

// False at an error or beyond the end of the file.
bool FileChecker::read_at(uint64_t offset, char* out, size_t bytes) {
  while (bytes > 0) {
    ssize_t n = pread(fd_.get(), out, bytes, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    offset += n, out += n, bytes -= n;
  }
  return true;
}

void FileChecker::report(std::string table, std::string record, std::string message) {
  if (result_.damage.size() < kMaxDamage)
    result_.damage.push_back({std::move(table), std::move(record), std::move(message)});
}

std::string FileChecker::meta_problem(const LmdbMeta& meta, size_t slot) const {
  size_t page = meta.page_bytes();
  if (meta.magic != kLmdbMagic) return "its magic number is missing";
  if (meta.version != kLmdbDataVersion) return fmt::format("its version is {}", meta.version);
  if (page < kMinPageBytes || page > kMaxPageBytes || (page & (page - 1)) != 0)
    return "its page size is impossible";
  if (meta.trees[0].flags != kFreeTreeFlags || meta.trees[1].flags != 0 || meta.trees[1].pad != 0 ||
      meta.address != 0) {
    return "its flags are not as Millrace writes them";
  }
  // An odd transaction is written to page 1, an even one to page 0; a new file starts with 0 in
  // both.
  if (meta.transaction % 2 != slot && meta.transaction != 0)
    return "its transaction number belongs to the other meta page";
  return {};
}

void FileChecker::read_metas() {
  std::array<LmdbMeta, 2> metas{};
  std::array<std::string, 2> problems;
  std::vector<size_t> sizes = {4096, 512, 1024, 2048, 8192, 16384, 32768};
  for (size_t slot = 0; slot < 2; ++slot) {
    // The second page's place depends on the page size: believe the first meta, else try each.
    for (size_t bytes : slot == 0 ? std::vector<size_t>{0} : sizes) {
      char page[kPageHeaderBytes + sizeof(LmdbMeta)];
      if (!read_at(bytes, page, sizeof(page))) {
        problems[slot] = "the file ends before it";
        continue;
      }
      uint64_t number;
      uint16_t flags;
      std::memcpy(&number, page, 8);
      std::memcpy(&flags, page + 10, 2);
      std::memcpy(&metas[slot], page + kPageHeaderBytes, sizeof(LmdbMeta));
      problems[slot] = meta_problem(metas[slot], slot);
      if (problems[slot].empty() && (number != slot || flags != kMetaPage))
        problems[slot] = "its page header is wrong";
      if (problems[slot].empty() && slot == 1 && metas[slot].page_bytes() != bytes)
        problems[slot] = "its page size is wrong";
      if (problems[slot].empty()) break;
    }
    if (slot == 0 && problems[0].empty()) sizes = {metas[0].page_bytes()};
  }
  // LMDB's pages have no checksum, but the copy has one.
  const LmdbMeta& copy = options_.expected_meta;
  size_t slot = copy.transaction % 2;
  if (copy.transaction != 0 && problems[slot].empty() &&
      metas[slot].transaction == copy.transaction &&
      std::memcmp(&metas[slot], &copy, sizeof(copy)) != 0)
    problems[slot] = "it is not as it was noted in millrace.state";
  choose_meta(metas, problems);
}

// The copy that was noted with the last commit, if the page it is a copy of is lost and the other
// one, if there is one, is of an earlier commit.
bool FileChecker::choose_copy(const std::array<LmdbMeta, 2>& metas,
                              const std::array<std::string, 2>& problems) {
  const LmdbMeta& copy = options_.expected_meta;
  size_t slot = copy.transaction % 2;
  if (copy.transaction == 0 || copy.transaction != options_.expected_transaction ||
      !meta_problem(copy, slot).empty() || problems[slot].empty() ||
      (problems[!slot].empty() && metas[!slot].transaction > copy.transaction))
    return false;
  meta_ = copy;
  page_bytes_ = copy.page_bytes();
  result_.transaction = copy.transaction;
  return true;
}

void FileChecker::choose_meta(const std::array<LmdbMeta, 2>& metas,
                              const std::array<std::string, 2>& problems) {
  if (!problems[0].empty() && !problems[1].empty()) {
    nothing_left_ =
        options_.known_as_ours
            ? Status(ErrorCode::kDataCorruptionDetected,
                     fmt::format("{} is damaged beyond repair: neither of its first two pages can "
                                 "be read ({}; {})",
                                 path_, problems[0], problems[1]))
            : Status(ErrorCode::kUnsupportedFormat, path_ + " is not a database of Millrace");
  }
  for (size_t slot = 0; slot < 2; ++slot) {
    if (!problems[slot].empty())
      report("", "", fmt::format("meta page {} is damaged: {}", slot, problems[slot]));
  }
  if (choose_copy(metas, problems)) return;
  if (!nothing_left_.ok()) {
    result_.status = nothing_left_;
    return;
  }
  bool both = problems[0].empty() && problems[1].empty();
  uint64_t expected = options_.expected_transaction;
  bool second = !problems[0].empty() || (both && metas[1].transaction > metas[0].transaction);
  uint64_t newer = metas[second].transaction, older = metas[!second].transaction;
  bool fit = newer == older + 1 || newer == 0;
  if (both && !fit) {
    // One of the numbers is wrong. If the last commit's is among them, it is that one.
    report("", "",
           fmt::format("the two meta pages do not fit each other: transactions {} and {}", older,
                       newer));
    if (older == expected && older != 0) {
      second = !second;
    } else if (newer != expected) {
      report("", "", std::string(kLastTransactionLost));
    }
  }
  meta_ = metas[second];
  page_bytes_ = meta_.page_bytes();
  result_.transaction = meta_.transaction;
  bool whole = both && fit;
  if (meta_.transaction + 1 < expected || (whole && meta_.transaction < expected)) {
    result_.status = {
        ErrorCode::kDataCorruptionDetected,
        fmt::format(
            "{} is older than it should be: it ends with transaction {}, and transaction {} was "
            "committed. Was an "
            "old copy put back? To go on with it all the same, remove millrace.state beside it",
            path_, meta_.transaction, expected)};
  } else if (!both && (expected == 0 || meta_.transaction < expected)) {
    report("", "", std::string(kLastTransactionLost));
  }
}

// Marks `count` pages as owned by `tree`. False, and reported, if they are not in the file or have
// an owner.
bool FileChecker::claim(Tree& tree, uint64_t number, uint64_t count) {
  uint64_t pages = claimed_.size();
  if (number < 2 || number >= pages || count > pages - number ||
      number + count - 1 > meta_.last_page) {
    tree.damaged = true;
    report(tree.name, "",
           fmt::format("table {} refers to page {}, which is not in the file: it was cut, or the "
                       "reference is damaged",
                       tree.name, number));
    return false;
  }
  for (uint64_t i = number; i < number + count; ++i) {
    if (claimed_[i]) {
      report_page(tree, i, "something else uses it too");
      return false;
    }
    claimed_[i] = true;
  }
  return true;
}

void FileChecker::walk_everything() {
  claimed_.assign(file_bytes_ / page_bytes_, false);
  find_tables();
  Tree free_tree{.name = "(free pages)", .facts = meta_.trees[0], .integer_keys = true};
  for (auto& tree : tables_) {
    walk_tree(tree);
    if (!result_.status.ok()) return;  // a newer format: nothing else can be judged
  }
  walk_tree(free_tree);
  check_free_list();
  check_summaries();
}

void FileChecker::check_free_list() {
  uint64_t pages_in_file = claimed_.size(), free_beyond = 0;
  for (uint64_t page : free_pages_) {
    bool in_file = page < pages_in_file;
    if (page < 2 || page > meta_.last_page || (in_file && claimed_[page])) {
      return report(
          "", "",
          fmt::format("the list of free pages is damaged: it contains page {}, which is not free",
                      page));
    }
    if (in_file) {
      claimed_[page] = true;
    } else {
      ++free_beyond;
    }
  }
  // A page at the end that was freed before it was ever written may lie beyond the end of the file;
  // no other.
  if (meta_.last_page + 1 > pages_in_file + free_beyond) {
    report("", "",
           fmt::format("the file should have {} pages and has {}", meta_.last_page + 1,
                       pages_in_file));
  }
}

void FileChecker::find_tables() {
  Tree main{.name = "(list of tables)", .facts = meta_.trees[1]};
  walk_tree(main);
  // The identity first: it says whether the rest can be understood.
  std::stable_sort(tables_.begin(), tables_.end(), [](const Tree& a, const Tree& b) {
    return (a.table == Table::kMeta) > (b.table == Table::kMeta);
  });
  if (tables_.empty() && !main.damaged && meta_.transaction != 0 && !options_.known_as_ours) {
    result_.status = {ErrorCode::kUnsupportedFormat,
                      path_ + " is an LMDB file, but not one of Millrace"};
  }
  for (const auto& row : kTables) {
    bool found = std::any_of(tables_.begin(), tables_.end(),
                             [&](const Tree& tree) { return tree.table == row.table; });
    if (!found && meta_.transaction != 0)
      report(row.name, "", fmt::format("table {} is missing", row.name));
  }
}

void FileChecker::walk_tree(Tree& tree) {
  const auto& facts = tree.facts;
  if ((facts.root == kNoPage) != (facts.entries == 0) ||
      (facts.depth == 0) != (facts.entries == 0) || facts.depth > kMaxTreeDepth) {
    tree.damaged = true;
    report(tree.name, "", fmt::format("the description of table {} is damaged", tree.name));
  }
  if (facts.root != kNoPage && facts.depth > 0 && facts.depth <= kMaxTreeDepth) {
    walk_page(tree, facts.root, 1, std::nullopt, std::nullopt);
  }
  bool counts_fit = tree.entries == facts.entries && tree.branch_pages == facts.branch_pages &&
                    tree.leaf_pages == facts.leaf_pages &&
                    tree.overflow_pages == facts.overflow_pages;
  if (!counts_fit && !tree.damaged) {
    report(tree.name, "",
           fmt::format("table {} has {} records and should have {}; or its pages are miscounted",
                       tree.name, tree.entries, facts.entries));
    tree.damaged = true;
  } else if (tree.entries < facts.entries) {
    report(tree.name, "",
           fmt::format("table {} lost {} of its {} records", tree.name,
                       facts.entries - tree.entries, facts.entries));
  }
}

void FileChecker::walk_page(Tree& tree, uint64_t number, int level, const Bound& lower,
                            const Bound& upper) {
  if (!claim(tree, number, 1)) return;
  std::string bytes(page_bytes_, '\0');
  if (!read_at(number * page_bytes_, bytes.data(), page_bytes_))
    return report_page(tree, number, "the disk cannot read it");
  LmdbPage page(number, bytes);
  bool leaf = level == tree.facts.depth;
  if (auto problem = page.header_problem(leaf ? kLeafPage : kBranchPage); !problem.empty()) {
    return report_page(tree, number, problem);
  }
  if (auto problem = page.layout_problem(); !problem.empty()) {
    report_page(tree, number, problem);  // and see what of it can be saved
  }
  if (leaf) {
    ++tree.leaf_pages;
    walk_leaf(tree, page, number, lower, upper);
  } else {
    ++tree.branch_pages;
    walk_branch(tree, page, level, lower, upper);
  }
}

void FileChecker::walk_branch(Tree& tree, const LmdbPage& page, int level, const Bound& lower,
                              const Bound& upper) {
  std::vector<std::pair<Bound, uint64_t>> children;
  for (size_t i = 0; i < page.node_count(); ++i) {
    if (auto node = page.node(i)) {
      // The first key of a branch is not used: it stands for everything before the second.
      children.emplace_back(children.empty() ? lower : Bound(std::string(node->key)), node->page);
    }
  }
  for (size_t i = 0; i < children.size() && result_.status.ok(); ++i) {
    walk_page(tree, children[i].second, level + 1, children[i].first,
              i + 1 < children.size() ? children[i + 1].first : upper);
  }
}

void FileChecker::walk_leaf(Tree& tree, const LmdbPage& page, uint64_t number, const Bound& lower,
                            const Bound& upper) {
  bool is_main = tree.name == "(list of tables)";
  std::optional<std::string_view> previous;
  std::string buffer;
  for (size_t i = 0; i < page.node_count() && result_.status.ok(); ++i) {
    auto node = page.node(i);
    if (!node) continue;  // reported with the layout
    bool ordered = !node->key.empty() && node->key.size() <= kMaxKeyBytes &&
                   (!lower || !key_less(tree, node->key, *lower)) &&
                   (!upper || key_less(tree, node->key, *upper)) &&
                   (!previous || key_less(tree, *previous, node->key));
    previous = node->key;
    if (!ordered) report_page(tree, number, "its keys are not in order");
    if (node->flags & ~(is_main ? kSubDatabase : kBigValue)) {
      report_page(tree, number, "an entry has flags that Millrace does not use");
      continue;
    }
    std::string_view value;
    if (!read_value(tree, *node, buffer, value)) continue;
    ++tree.entries;
    if (is_main) {
      if (node->flags != kSubDatabase || value.size() != sizeof(LmdbTree)) {
        report_page(tree, number, "an entry is not a table");
        continue;
      }
      Tree table{.name = std::string(node->key)};
      std::memcpy(&table.facts, value.data(), sizeof(LmdbTree));
      for (const auto& row : kTables)
        if (row.name == node->key) table.table = row.table;
      if (!table.table)
        report("", "",
               fmt::format("there is a table that Millrace does not know: \"{}\"", table.name));
      if (table.facts.flags != 0 || table.facts.pad != 0) {
        report(table.name, "", fmt::format("the description of table {} is damaged", table.name));
      }
      tables_.push_back(std::move(table));
    } else if (tree.integer_keys) {
      read_free_pages(node->key, value);
    } else {
      check_record(tree, node->key, value);
    }
  }
}

bool FileChecker::read_value(Tree& tree, const LmdbNode& node, std::string& buffer,
                             std::string_view& value) {
  if (!(node.flags & kBigValue)) {
    value = node.value;
    return true;
  }
  char header[kMinPageBytes];
  uint64_t needed = (kPageHeaderBytes - 1 + uint64_t{node.value_bytes}) / page_bytes_ + 1;
  // The page says how many there are: a value that was replaced by a shorter one keeps its pages.
  if (node.page >= claimed_.size() || !read_at(node.page * page_bytes_, header, sizeof(header))) {
    return claim(tree, node.page, needed);
  }
  LmdbPage page(node.page, std::string_view(header, sizeof(header)));
  auto problem = page.header_problem(kOverflowPage);
  if (problem.empty() && page.overflow_count() < needed)
    problem = "the value is longer than its pages";
  if (!problem.empty()) {
    report_page(tree, node.page, problem);
    return false;
  }
  if (!claim(tree, node.page, page.overflow_count())) return false;
  tree.overflow_pages += page.overflow_count();
  buffer.resize(node.value_bytes);
  if (!read_at(node.page * page_bytes_ + kPageHeaderBytes, buffer.data(), buffer.size())) {
    report_page(tree, node.page, "the disk cannot read it");
    return false;
  }
  value = buffer;
  return true;
}

void FileChecker::check_record(Tree& tree, std::string_view key, std::string_view stored) {
  ++tree.sum.records;
  tree.sum.checksums += stored_checksum(stored);
  auto record =
      tree.table ? open_record(*tree.table, key, stored) : open_record_of_any_table(key, stored);
  if (record.soundness == Soundness::kDamaged) {
    tree.damaged = true;
    auto name = tree.table ? record_name(*tree.table, key) : std::string(key);
    return report(tree.name, name,
                  fmt::format("record \"{}\" in table {} is damaged: its checksum does not fit",
                              name, tree.name));
  }
  if (record.soundness == Soundness::kNewer) {
    // Not damage: the reader of this one record gets its own error. A salvage cannot copy what it
    // does not understand.
    if (visitor_)
      report(tree.name, record_name(record.table, key),
             newer_record_error(record.table, key).message());
    return;
  }
  if (record.table == Table::kMeta && key == kIdentityKey) {
    auto identity = decode_identity(record.payload);
    if (!identity.ok()) {
      result_.status = identity.status();
      return;
    }
    result_.identity = std::move(identity).value();
  }
  if (record.table == Table::kSummaries && record.payload.size() == sizeof(TableSummary)) {
    for (const auto& row : kTables) {
      if (row.name == key) {
        summaries_[table_index(row.table)].emplace();
        std::memcpy(&*summaries_[table_index(row.table)], record.payload.data(),
                    sizeof(TableSummary));
      }
    }
  }
  if (visitor_) {
    if (auto status = visitor_(record.table, key, record.payload); !status.ok())
      result_.status = status;
  }
}

// value = count (8), then that many page numbers (8), then perhaps unused room.
void FileChecker::read_free_pages(std::string_view key, std::string_view value) {
  uint64_t transaction = 0, count = 0;
  bool fits = key.size() == 8 && value.size() >= 8 && value.size() % 8 == 0;
  if (fits) {
    std::memcpy(&transaction, key.data(), 8);
    std::memcpy(&count, value.data(), 8);
    fits = transaction <= meta_.transaction && count <= value.size() / 8 - 1;
  }
  if (!fits) return report("", "", "the list of free pages is damaged");
  std::vector<uint64_t> pages(count);
  if (count > 0) std::memcpy(pages.data(), value.data() + 8, count * 8);
  for (size_t i = 1; i < count; ++i) {
    if (pages[i] >= pages[i - 1])
      return report("", "", "the list of free pages is damaged: it is not in order");
  }
  free_pages_.insert(free_pages_.end(), pages.begin(), pages.end());
}

void FileChecker::check_summaries() {
  for (const auto& tree : tables_) {
    if (!tree.table || tree.damaged || *tree.table == Table::kSummaries) continue;
    auto expected = summaries_[table_index(*tree.table)].value_or(TableSummary{});
    if (expected.records != tree.sum.records || expected.checksums != tree.sum.checksums) {
      report(
          tree.name, "",
          fmt::format(
              "table {} does not add up: {} of {} records; some are missing or of an earlier state",
              tree.name, tree.sum.records, expected.records));
    }
  }
}

}  // namespace

FileCheck check_file(const std::string& path, const FileCheckOptions& options,
                     const RecordVisitor& visitor) {
  return FileChecker(path, options, visitor).run();
}

}  // namespace millrace::storage
