// A data directory of its own for each test, and shorthand for opening it.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>

#include "engine/document/bson.h"
#include "storage/store.h"

namespace millrace::storage {

#define ASSERT_OK(expression)                                                       \
  do {                                                                              \
    const auto ok_status = to_status(expression);                                   \
    ASSERT_TRUE(ok_status.ok()) << ok_status.code() << ": " << ok_status.message(); \
  } while (false)

inline const Status& to_status(const Status& status) { return status; }
template <typename T>
Status to_status(const Result<T>& result) {
  return result.status();
}

inline std::string bson_of(std::string_view name, int64_t number) {
  engine::BsonWriter writer;
  writer.begin_document();
  writer.append("name", name);
  writer.append("number", number);
  writer.end();
  return std::string(writer.bytes());
}

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto pattern = (std::filesystem::temp_directory_path() / "millrace-storage-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override {
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

  static OpenOptions quick() {
    OpenOptions options;
    options.sync = Sync::kNever;
    return options;
  }
  Status open(const OpenOptions& options = quick()) {
    store_.reset();
    auto opened = Store::open(dir(), options);
    if (!opened.ok()) return opened.status();
    store_ = std::move(opened).value();
    return {};
  }
  void close() { store_.reset(); }
  std::string dir() const { return root_ + "/data"; }
  std::string file(const char* name = "millrace.mdb") const { return dir() + "/" + name; }

  Status put(Table table, std::string_view key, std::string_view value) {
    return store_->write([&](WriteTransaction& txn) { return txn.put(table, key, value); });
  }
  // "(none)" and "(error 301)" for what cannot be read.
  std::string get(Table table, std::string_view key) {
    auto txn = store_->read();
    if (!txn.ok()) return "(no transaction)";
    auto value = (*txn)->get(table, key);
    if (!value.ok()) return "(error " + std::to_string(value.status().code()) + ")";
    return *value ? std::string(**value) : "(none)";
  }

  static std::string load(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void save(const std::string& path, std::string_view bytes) {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

  // Runs `body` in a child process. Its exit status: 0 when it returned true, 1 for false, 1000 +
  // signal when it was killed.
  static int in_child(const std::function<bool()>& body) {
    pid_t pid = fork();
    if (pid == 0) {
      bool good = body();
      std::fflush(nullptr);
      _exit(good ? 0 : 1);
    }
    return wait_for(pid);
  }
  static int wait_for(pid_t pid) {
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

  std::string root_;
  std::unique_ptr<Store> store_;
};

}  // namespace millrace::storage
