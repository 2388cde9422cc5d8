// YAML to BSON, by yaml-cpp. A document whose top is an array comes as {"": [...]}.
#include <yaml-cpp/yaml.h>

#include <array>
#include <charconv>
#include <cstdlib>

#include "engine/connection/connections_file.h"

namespace millrace::engine {
namespace {

constexpr int kMaxDepth = 100;
constexpr int kMaxNodes = 200'000;  // aliases can make a small text enormous

struct Reader {
  BsonWriter writer;
  int nodes = 0;

  void fail(const YAML::Node& node, const char* what) { throw YAML::Exception(node.Mark(), what); }

  static bool is_one_of(const std::string& text, std::initializer_list<std::string_view> words) {
    for (std::string_view word : words) {
      if (text == word) return true;
    }
    return false;
  }

  // The core schema of YAML 1.2, which is what Kubernetes' own reader keeps to for these resources.
  void plain_scalar(std::string_view name, const std::string& text) {
    if (is_one_of(text, {"", "~", "null", "Null", "NULL"}))
      return writer.append(name, Value::null());
    if (is_one_of(text, {"true", "True", "TRUE"})) return writer.append(name, true);
    if (is_one_of(text, {"false", "False", "FALSE"})) return writer.append(name, false);
    int64_t integer;
    const char* end = text.data() + text.size();
    if (auto [at, error] = std::from_chars(text.data(), end, integer);
        error == std::errc() && at == end) {
      return writer.append(name, Value::integer(integer));
    }
    if (text.find_first_not_of("0123456789+-.eE") == std::string::npos &&
        text.find_first_of("0123456789") != std::string::npos) {
      char* stop;
      double number = std::strtod(text.c_str(), &stop);
      if (*stop == 0) return writer.append(name, number);
    }
    writer.append(name, text);
  }

  void value(std::string_view name, const YAML::Node& node, int depth) {
    if (depth > kMaxDepth) fail(node, "nested too deeply");
    if (++nodes > kMaxNodes) fail(node, "too many values");
    switch (node.Type()) {
      case YAML::NodeType::Map:
        writer.begin_object(name);
        fields(node, depth);
        writer.end();
        return;
      case YAML::NodeType::Sequence: {
        writer.begin_array(name);
        size_t index = 0;
        for (const YAML::Node& element : node) value(std::to_string(index++), element, depth + 1);
        writer.end();
        return;
      }
      case YAML::NodeType::Scalar:
        if (!is_valid_utf8(node.Scalar())) fail(node, "not UTF-8");
        if (node.Tag() == "?") {  // plain; "!" is quoted
          plain_scalar(name, node.Scalar());
        } else {
          writer.append(name, node.Scalar());
        }
        return;
      default:
        writer.append(name, Value::null());
    }
  }

  void fields(const YAML::Node& node, int depth) {
    for (const auto& pair : node) {
      if (!pair.first.IsScalar()) fail(pair.first, "a key must be a string");
      const std::string& key = pair.first.Scalar();
      if (key.find('\0') != std::string::npos || !is_valid_utf8(key))
        fail(pair.first, "a key must be UTF-8 text");
      value(key, pair.second, depth + 1);
    }
  }

  Document document(const YAML::Node& node) {
    writer.clear();
    writer.begin_document();
    if (node.IsMap()) {
      fields(node, 0);
    } else {
      value("", node, 0);
    }
    writer.end();
    return Document(writer.bytes());
  }
};

}  // namespace

Result<std::vector<Document>> parse_yaml(std::string_view text) {
  std::vector<Document> documents;
  try {
    Reader reader;
    for (const YAML::Node& node : YAML::LoadAll(std::string(text))) {
      if (node.IsNull()) continue;
      documents.push_back(reader.document(node));
    }
  } catch (const YAML::Exception& error) {
    return Status(ErrorCode::kFailedToParse,
                  "line " + std::to_string(error.mark.line + 1) + ", column " +
                      std::to_string(error.mark.column + 1) + ": " + error.msg);
  } catch (const EvaluationError& error) {
    return error.status();
  }
  return documents;
}

}  // namespace millrace::engine
