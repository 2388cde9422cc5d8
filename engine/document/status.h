// Status and Result<T>: how a user's mistake or the outside world's fault travels. One place
// (commands/reply.cc) turns a Status into {ok: 0, code, codeName, errmsg}.
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "engine/document/error_code.h"

namespace millrace::engine {

// Success, or an error code with its message. Cheap to return when it is ok (one null pointer).
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(int32_t code, std::string message)
      : rep_(std::make_unique<Rep>(Rep{code, std::move(message)})) {}
  Status(ErrorCode code, std::string message)
      : Status(static_cast<int32_t>(code), std::move(message)) {}
  Status(const Status& other) : rep_(other.rep_ ? std::make_unique<Rep>(*other.rep_) : nullptr) {}
  Status& operator=(const Status& other) {
    rep_ = other.rep_ ? std::make_unique<Rep>(*other.rep_) : nullptr;
    return *this;
  }
  Status(Status&&) noexcept = default;
  Status& operator=(Status&&) noexcept = default;

  bool ok() const { return rep_ == nullptr; }
  int32_t code() const { return rep_ ? rep_->code : 0; }
  bool is(ErrorCode code) const { return this->code() == static_cast<int32_t>(code); }
  const std::string& message() const {
    static const std::string kEmpty;
    return rep_ ? rep_->message : kEmpty;
  }

 private:
  struct Rep {
    int32_t code;
    std::string message;
  };
  std::unique_ptr<Rep> rep_;
};

// A T, or the Status that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Status status)
      : state_(std::in_place_index<1>, std::move(status)) {}  // NOLINT(google-explicit-constructor)
  template <typename U>
  requires(std::is_convertible_v<U, T> && !std::is_same_v<std::decay_t<U>, T> &&
           !std::is_same_v<std::decay_t<U>, Status> && !std::is_same_v<std::decay_t<U>, Result>)
      Result(U&& value)
      : state_(std::in_place_index<0>, std::forward<U>(value)) {
  }  // NOLINT(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }
  // Requires: ok().
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  Status status() const { return ok() ? Status() : std::get<1>(state_); }

 private:
  std::variant<T, Status> state_;
};

// Thrown while an expression or predicate is evaluated for one document, and caught once per
// document by the operator that evaluates (engine/stage). An exception, not a Result, because a
// checked return value in each of a dozen nested calls per event costs more than the whole
// evaluation. Nothing but evaluation throws it.
class EvaluationError : public std::exception {
 public:
  explicit EvaluationError(Status status) : status_(std::move(status)) {}
  const Status& status() const { return status_; }
  const char* what() const noexcept override { return status_.message().c_str(); }

 private:
  Status status_;
};

[[noreturn]] inline void fail_evaluation(int32_t code, std::string message) {
  throw EvaluationError(Status(code, std::move(message)));
}
[[noreturn]] inline void fail_evaluation(ErrorCode code, std::string message) {
  fail_evaluation(static_cast<int32_t>(code), std::move(message));
}

}  // namespace millrace::engine

#define MR_CONCAT_INNER(a, b) a##b
#define MR_CONCAT(a, b) MR_CONCAT_INNER(a, b)

// Returns from the enclosing function with the error, if there is one.
#define MR_RETURN_IF_ERROR(expression)                    \
  do {                                                    \
    if (auto mr_status = (expression); !mr_status.ok()) { \
      return mr_status;                                   \
    }                                                     \
  } while (false)

// MR_ASSIGN_OR_RETURN(auto x, f()): the value, or returns with the error.
#define MR_ASSIGN_OR_RETURN(declaration, expression) \
  MR_ASSIGN_OR_RETURN_INNER(MR_CONCAT(mr_result_, __LINE__), declaration, expression)
#define MR_ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                      \
  if (!result.ok()) return result.status();                        \
  declaration = std::move(result).value()
