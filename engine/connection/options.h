// Reading a specification that a user wrote (a connection, $source, a sink) field by field, with
// errors that name the field.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "engine/document/status.h"
#include "engine/document/value.h"

namespace millrace::engine {

// A view of one object of the specification. Every getter answers with the error code given here
// and a message that starts with `where`:
// "$source.config.group_id must be a string, not int". Getters of optional fields treat a missing
// field as not given; null is an error.
class Options {
 public:
  // Requires: `object` outlives this. A missing value is an empty object.
  Options(const Value& object, std::string where,
          ErrorCode code = ErrorCode::kStreamProcessorInvalidOptions)
      : object_(object), where_(std::move(where)), code_(code) {}

  // The value must be an object or missing.
  Status check() const;
  // Refuses a field that is in neither list, and one of `later` as "not supported by Millrace yet".
  Status only(std::initializer_list<std::string_view> known,
              std::initializer_list<std::string_view> later = {}) const;

  bool has(std::string_view name) const { return !get(name).is_missing(); }
  Value get(std::string_view name) const {
    return object_.is_object() ? object_.as_object().get(name) : Value();
  }
  Value value() const { return object_; }
  Options sub(std::string_view name) const {
    return Options(get(name), where_ + "." + std::string(name), code_);
  }

  // A string that is there and not empty.
  Result<std::string> required_string(std::string_view name) const;
  Result<std::optional<std::string>> string(std::string_view name) const;
  Result<std::optional<bool>> boolean(std::string_view name) const;
  // int, long, or a double without a fraction.
  Result<std::optional<int64_t>> integer(std::string_view name, int64_t min, int64_t max) const;
  // One of `choices`.
  Result<std::optional<std::string>> choice(std::string_view name,
                                            std::initializer_list<std::string_view> choices) const;
  // {size: <positive integer>, unit: "ms" | "second" | …} (plural units too) in milliseconds.
  Result<std::optional<int64_t>> duration_ms(std::string_view name) const;

  // An error about one field: "<where>.<name> <what>".
  Status error(std::string_view name, std::string_view what) const;
  Status wrong_type(std::string_view name, std::string_view expected) const;
  // "<where>.<name> is not supported by Millrace yet".
  Status unsupported(std::string_view name) const {
    return error(name, "is not supported by Millrace yet");
  }
  const std::string& where() const { return where_; }

 private:
  Value object_;
  std::string where_;
  ErrorCode code_;
};

// "a, b or c".
std::string joined(std::initializer_list<std::string_view> words);

}  // namespace millrace::engine
