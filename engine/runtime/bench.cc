#include "engine/runtime/bench.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "engine/document/extended_json.h"
#include "engine/runtime/pipeline.h"

namespace millrace::engine {
namespace {

// The three canonical jobs.
constexpr std::string_view kGroup =
    R"([{"$group":{"_id":"$device_id","count":{"$sum":1},"sum_watts":{"$sum":"$obs.watts"},"avg_temp":{"$avg":"$obs.temp"},)"
    R"("min_watts":{"$min":"$obs.watts"},"max_watts":{"$max":"$obs.watts"}}}])";
constexpr std::string_view kStateless =
    R"([{"$match":{"event_type":0,"obs.watts":{"$gt":100}}},)"
    R"({"$addFields":{"ts":{"$toDate":"$timestamp"},"load_pct":{"$multiply":[{"$divide":["$obs.watts","$max_watts"]},100]}}},)"
    R"({"$project":{"_id":0,"device_id":1,"group_id":1,"ts":1,"load_pct":1,"watts":"$obs.watts","temp":"$obs.temp"}}])";

Result<std::string> job_pipeline(std::string_view job) {
  if (job == "j1") return std::string(kStateless);
  if (job == "j2")
    return R"([{"$tumblingWindow":{"interval":{"size":1,"unit":"second"},"pipeline":)" +
           std::string(kGroup) + "}}]";
  if (job == "j3") {
    return R"([{"$hoppingWindow":{"interval":{"size":60,"unit":"second"},"hopSize":{"size":1,"unit":"second"},"pipeline":)" +
           std::string(kGroup) + "}}]";
  }
  return Status(ErrorCode::kBadValue, "--job must be j1, j2 or j3");
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return Status(ErrorCode::kBadValue, "cannot read " + path + ": " + std::strerror(errno));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

double seconds(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

// Reads a file into source batches of about 128 KiB, as the source thread of a processor would.
class LineReader {
 public:
  explicit LineReader(int file) : file_(file) {}

  // False at the end of the file.
  bool read(SourceBatch& batch, int64_t max_lines) {
    batch.clear();
    char* at = batch.bulk_reserve(rest_.size() + kChunk + 1);
    std::memcpy(at, rest_.data(), rest_.size());
    ssize_t got = ::read(file_, at + rest_.size(), kChunk);
    size_t total = rest_.size() + static_cast<size_t>(std::max<ssize_t>(got, 0));
    if (got <= 0) {
      if (rest_.empty()) return false;
      at[total++] = '\n';  // a last line without its newline
    }
    size_t from = 0;
    int64_t lines = 0;
    while (lines < max_lines) {
      auto* end = static_cast<const char*>(std::memchr(at + from, '\n', total - from));
      if (end == nullptr) break;
      auto size = static_cast<size_t>(end - at) - from;
      if (size > 0) batch.add_line(from, size), ++lines;
      from += size + 1;
    }
    rest_.assign(at + from, total - from);
    batch.bulk_commit(from);
    return true;
  }

 private:
  static constexpr size_t kChunk = 128 << 10;
  int file_;
  std::string rest_;
};

// The figures of bench/README.md, summed up from the encoded documents.
class Check {
 public:
  void add(const OutputBatch& output) {
    rows_ += static_cast<int64_t>(output.items.size());
    for (const OutputBatch::Item& item : output.items) add(output.document(item).data());
  }
  std::string json() const {
    return fmt::format(R"({{"rows":{},"count":{},"sum":{},"min":{},"max":{},"avg":{:.2f}}})", rows_,
                       count_, sum_, min_, max_, avg_);
  }

 private:
  void add(const char* document) {
    for (const char* at = document + 4; *at != 0;) {
      auto type = static_cast<Type>(static_cast<uint8_t>(*at));
      std::string_view name(at + 1);
      at += name.size() + 2;
      if (type == Type::kInt32) {  // most numbers, without a Value
        int32_t number;
        std::memcpy(&number, at, sizeof number);
        count(name, number);
        at += sizeof number;
        continue;
      }
      Value value = read_bson_value(type, at, &at);
      if (value.is_integer()) {
        count(name, value.integer_value());
      } else if (value.is_number()) {
        count(name, value.to_double());
      }
    }
  }
  template <typename Number>
  void count(std::string_view name, Number number) {
    auto whole = static_cast<int64_t>(number);
    if (name == "count") count_ += whole;
    if (name == "sum_watts" || name == "watts") sum_ += whole;
    if (name == "min_watts") min_ += whole;
    if (name == "max_watts") max_ += whole;
    if (name == "avg_temp" || name == "load_pct") avg_ += static_cast<double>(number);
  }

  int64_t rows_ = 0, count_ = 0, sum_ = 0, min_ = 0, max_ = 0;
  double avg_ = 0;
};

}  // namespace

Result<std::string> run_bench(const BenchOptions& options) {
  std::string text;
  if (!options.job.empty()) {
    MR_ASSIGN_OR_RETURN(text, job_pipeline(options.job));
  } else {
    MR_ASSIGN_OR_RETURN(text, read_file(options.pipeline_file));
  }
  MR_ASSIGN_OR_RETURN(auto stages, parse_extended_json_array(text));
  BsonWriter pipeline_document;
  pipeline_document.begin_document();
  pipeline_document.begin_array("pipeline");
  for (size_t i = 0; i < stages.size(); ++i) pipeline_document.append_element(i, stages[i].value());
  pipeline_document.end();
  pipeline_document.end();

  SystemClock clock;
  PipelineSpec spec;
  spec.pipeline = Document(pipeline_document.bytes());
  spec.source_and_sink = false;
  MR_ASSIGN_OR_RETURN(spec.time_field, parse_extended_json(R"({"$toDate":"$timestamp"})"));
  PipelineEnvironment environment;
  environment.clock = &clock;
  MR_ASSIGN_OR_RETURN(auto pipeline, Pipeline::build(spec, environment));

  int file = ::open(options.input_file.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return Status(ErrorCode::kBadValue,
                  "cannot read " + options.input_file + ": " + std::strerror(errno));
  LineReader reader(file);
  SourceBatch batch;
  OutputBatch output;
  Check check;
  pipeline->set_output_relay([&](OutputBatch& full) -> OutputBatch& {
    check.add(full);
    full.clear();
    return full;
  });
  double wall = seconds(CLOCK_MONOTONIC);
  double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
  int64_t events = 0;
  while (options.events == 0 || events < options.events) {
    int64_t most = options.events == 0 ? INT64_MAX : options.events - events;
    if (!reader.read(batch, most)) break;
    events += static_cast<int64_t>(batch.records.size());
    pipeline->process(batch, output);
    check.add(output);
    output.clear();
  }
  pipeline->finish(output);
  check.add(output);
  wall = seconds(CLOCK_MONOTONIC) - wall;
  cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  ::close(file);
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return fmt::format(
      R"({{"impl":"millrace","job":"{}","events":{},"wall_s":{:.4f},"cpu_s":{:.4f},"ev_per_s":{:.0f},"ev_per_cpu_s":{:.0f},"rss_mb":{},"dlq":{},"check":{}}})",
      options.job.empty() ? "pipeline" : options.job, events, wall, cpu,
      static_cast<double>(events) / wall, static_cast<double>(events) / cpu, usage.ru_maxrss / 1024,
      pipeline->stats().dlq_count, check.json());
}

}  // namespace millrace::engine
