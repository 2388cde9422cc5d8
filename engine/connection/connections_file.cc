#include "engine/connection/connections_file.h"

#include <fstream>
#include <set>
#include <sstream>

#include "engine/connection/registry.h"
#include "engine/document/extended_json.h"

namespace millrace::engine {
namespace {

bool is_kubernetes(const Document& document) {
  return document.view().has("kind") && document.view().has("apiVersion");
}

// JSON when it starts like JSON; a YAML flow collection that is no JSON is tried as YAML.
Result<std::vector<Document>> parse_text(std::string_view text) {
  size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos)
    return Status(ErrorCode::kFailedToParse, "the file is empty");
  if (text[start] == '[') {
    auto array = parse_extended_json_array(text);
    if (array.ok()) {
      BsonWriter wrapped;
      wrapped.begin_document();
      wrapped.begin_array("");
      size_t index = 0;
      for (const Document& element : *array) wrapped.append_element(index++, element.value());
      wrapped.end();
      wrapped.end();
      return std::vector<Document>{Document(wrapped.bytes())};
    }
    if (auto yaml = parse_yaml(text); yaml.ok()) return yaml;
    return array.status();
  }
  if (text[start] == '{') {
    auto object = parse_extended_json(text);
    if (object.ok()) return std::vector<Document>{*object};
    if (auto yaml = parse_yaml(text); yaml.ok()) return yaml;
    return object.status();
  }
  return parse_yaml(text);
}

// The connections of one document of the file: an array, {results: [...]}, or one connection.
Status collect(const Document& document, std::vector<Value>& entries) {
  Value list = document.get("");
  if (list.is_missing()) list = document.get("results");
  if (list.is_missing()) list = document.get("connections");
  if (list.is_missing()) {
    if (!document.view().has("type")) {
      return Status(ErrorCode::kFailedToParse,
                    "expected an array of connections, {results: [...]}, or Kubernetes resources "
                    "with apiVersion and kind");
    }
    entries.push_back(document.value());
    return {};
  }
  if (!list.is_array())
    return Status(ErrorCode::kFailedToParse, "expected an array of connections");
  for (const Value& entry : list.as_array()) entries.push_back(entry);
  return {};
}

std::string entry_label(size_t index, const Value& entry) {
  std::string label = "connection " + std::to_string(index + 1);
  Value name = entry.is_object() ? entry.as_object().get("name") : Value();
  if (name.is_string()) label += " (" + std::string(name.as_string().substr(0, 64)) + ")";
  return label;
}

}  // namespace

Result<ConnectionsFile> parse_connections(std::string_view text, std::string_view name,
                                          std::span<const ConnectionType> types) {
  std::string prefix = std::string(name) + ": ";
  auto fail = [&](const Status& status) {
    return Status(status.code(), prefix + status.message());
  };
  auto documents = parse_text(text);
  if (!documents.ok()) return fail(documents.status());

  ConnectionsFile file;
  if (documents->empty()) return fail(Status(ErrorCode::kFailedToParse, "the file is empty"));
  std::vector<Document> resources;
  std::vector<Value> entries;
  for (const Document& document : *documents) {
    if (is_kubernetes(document)) {
      resources.push_back(document);
    } else if (Status status = collect(document, entries); !status.ok()) {
      return fail(status);
    }
  }
  auto converted = kubernetes_connections(resources, file.warnings);
  if (!converted.ok()) return fail(converted.status());
  for (const Document& definition : *converted) entries.push_back(definition.value());

  std::set<std::string> names;
  for (size_t i = 0; i < entries.size(); ++i) {
    auto connection = make_connection(entries[i], types);
    if (!connection.ok())
      return Status(connection.status().code(),
                    prefix + entry_label(i, entries[i]) + ": " + connection.status().message());
    if (!names.insert((*connection)->name).second) {
      return Status(ErrorCode::kBadValue, prefix + entry_label(i, entries[i]) +
                                              ": connection.name stands twice in the file");
    }
    file.connections.push_back(*connection);
  }
  return file;
}

Result<ConnectionsFile> read_connections_file(const std::string& path,
                                              std::span<const ConnectionType> types) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (!in || in.bad()) return Status(ErrorCode::kFailedToParse, path + ": cannot be read");
  return parse_connections(text.str(), path, types);
}

}  // namespace millrace::engine
