// Reading the fields of a data command, with MongoDB's errors for what does not fit.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "commands/command.h"

namespace millrace::commands {

// One object of a command: its body, or an element of `updates`. `context` names it in messages:
// "find", "update.updates". An absent field and one that is null (how shells send undefined) are
// the same.
class Arguments {
 public:
  Arguments(std::string_view context, engine::Value object) : context_(context), object_(object) {}

  // As they are; missing when absent. Errors: 14 TypeMismatch.
  engine::Result<engine::Value> object(std::string_view field) const;
  engine::Result<engine::Value> array(std::string_view field) const;
  engine::Result<engine::Value> string(std::string_view field) const;
  // true, false or a number.
  engine::Result<bool> boolean(std::string_view field, bool otherwise) const;
  // A number without its fraction, a decimal rounded half to even, NaN as 0. Errors: 14; 51024 when
  // it is negative.
  engine::Result<std::optional<int64_t>> count(std::string_view field) const;
  engine::Value any(std::string_view field) const;
  // Text or an object. Errors: 9 for anything else, null too.
  engine::Result<engine::Value> hint() const;
  // Errors: 14; 238 for a collation other than {locale: "simple"}: documents compare by their
  // bytes.
  engine::Status check_collation() const;

  // Errors: 40414 when it is absent.
  engine::Status require(std::string_view field) const;
  // Errors: 2 BadValue for a text that is not one of `allowed`.
  engine::Status one_of(std::string_view field,
                        std::initializer_list<std::string_view> allowed) const;
  engine::Status wrong_type(std::string_view field, std::string_view expected) const;

 private:
  std::string_view context_;
  engine::Value object_;
};

// The collection that the command's first field names. Errors: 73 InvalidNamespace.
engine::Result<std::string_view> collection_argument(const Request& request);
// The same for commands that only read, which may give its UUID instead, and for which a name that
// no collection can have is that of one that is not there. Errors: 73; 26 NamespaceNotFound, 207
// InvalidUUID.
engine::Result<std::string> read_collection_argument(const Request& request);

// 115 CommandNotSupported "'x' is not supported by Millrace yet" when the option is given.
engine::Status refuse_option(const Request& request, std::string_view field);

}  // namespace millrace::commands
