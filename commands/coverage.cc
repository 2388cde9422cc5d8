#include "commands/coverage.h"

#include <set>

#include "commands/local/aggregate_stages.h"
#include "commands/local/update_operator.h"
#include "commands/local/window_function.h"
#include "commands/table.h"
#include "engine/expression/accumulator.h"
#include "engine/expression/registry.h"
#include "engine/match/json_schema.h"
#include "engine/match/registry.h"
#include "engine/runtime/connection_table.h"
#include "engine/runtime/stage_table.h"

namespace millrace::commands {
namespace {

class Report {
 public:
  void add(std::string_view kind, std::string_view name, bool supported, std::string_view manual) {
    std::string line(kind);
    line.append("\t").append(name).append(supported ? "\tyes\t" : "\tno\t").append(manual);
    lines_.insert(std::move(line));
  }
  std::string text() const {
    std::string text = "kind\tname\tsupported\tmanual\n";
    for (const std::string& line : lines_) text.append(line).append("\n");
    return text;
  }

 private:
  std::set<std::string> lines_;
};

void add_language(Report& report) {
  for (auto family : engine::expression_families()) {
    for (const auto& row : family) report.add("expression", row.name, row.supported(), row.manual);
  }
  for (auto family : engine::accumulator_families()) {
    for (const auto& row : family)
      report.add("accumulator", row.name, row.parse != nullptr, row.manual);
  }
  for (auto family : engine::query_families()) {
    for (const auto& row : family) {
      if (row.argument_only) continue;
      report.add("query", row.name, row.query != nullptr || row.field != nullptr, row.manual);
    }
  }
  for (const auto& row : engine::schema_keywords()) {
    report.add("jsonSchema", row.name, row.parse != nullptr, "query/jsonSchema");
  }
}

void add_stages(Report& report) {
  constexpr auto kInStreams = static_cast<uint8_t>(static_cast<uint8_t>(engine::Place::kMain) |
                                                   static_cast<uint8_t>(engine::Place::kWindow));
  for (const auto& row : engine::stage_rows()) {
    if ((row.places & kInStreams) != 0)
      report.add("stage", row.name, row.parse != nullptr, row.manual);
    if ((row.places & static_cast<uint8_t>(engine::Place::kAggregate)) != 0) {
      bool supported = row.parse != nullptr || find_aggregate_stage(row.name) != nullptr;
      report.add("aggregate", row.name, supported, row.manual);
    }
  }
  for (const auto& row : engine::sink_rows()) {
    std::string name(row.stage);
    name += row.connection_type.empty() ? " __testLog" : " " + std::string(row.connection_type);
    report.add("sink", name, row.parse != nullptr, row.manual);
  }
  for (const auto& type : engine::connection_types()) {
    report.add("connection", type.name, type.supported, "manage-connection-registry");
    if ((type.uses & static_cast<uint8_t>(engine::ConnectionUse::kSource)) != 0) {
      report.add("source", type.name, engine::find_source(type.name) != nullptr, "sp-agg-source");
    }
  }
  report.add("source", "documents", engine::find_source("") != nullptr, "sp-agg-source");
}

void add_commands(Report& report) {
  for (auto family : update_operator_families()) {
    for (const auto& row : family) report.add("update", row.name, true, row.manual);
  }
  for (const auto& row : window_function_rows()) {
    report.add("windowFunction", row.name, row.parse != nullptr, row.manual);
  }
  for (const auto& row : command_table()) {
    if ((row.flags & kAnyCase) != 0) continue;
    size_t page = row.help.rfind('(');
    std::string_view manual = page == std::string_view::npos
                                  ? std::string_view()
                                  : row.help.substr(page + 1, row.help.size() - page - 2);
    report.add("command", row.name, row.handler != nullptr, manual);
  }
}

}  // namespace

std::string coverage_report() {
  Report report;
  add_language(report);
  add_stages(report);
  add_commands(report);
  return report.text();
}

}  // namespace millrace::commands
