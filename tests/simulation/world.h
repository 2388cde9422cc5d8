// What every part of a simulation shares: chance, time, the trace, and the faults that are about.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "engine/document/clock.h"
#include "tests/simulation/random.h"

namespace millrace::simulation {

// Thrown where the machine loses its power: everything that is not durable is gone. Not a
// std::exception, so that no library boundary takes it for a fault of its own.
struct Crash {
  const char* where;
};

// The oracle has found the engine wrong; ends the seed.
struct Violation {
  std::string text;
};

// A wall clock that may jump and a monotonic one that does not.
class SimulatedClock final : public engine::Clock {
 public:
  int64_t now_ms() const override { return wall_ms_; }
  int64_t monotonic_ns() const override { return monotonic_ms_ * 1'000'000; }
  void advance(int64_t ms) {
    wall_ms_ += ms;
    monotonic_ms_ += ms;
  }
  void jump(int64_t ms) { wall_ms_ += ms; }

 private:
  int64_t wall_ms_ = 1'740'787'200'000;  // 2025-03-01T00:00:00Z
  int64_t monotonic_ms_ = 1'000;
};

// Everything that happens, a line each: printed on demand, hashed always.
class Trace {
 public:
  explicit Trace(bool print) : print_(print) {}
  void line(std::string_view text) {
    for (char c : text) mix(static_cast<unsigned char>(c));
    mix('\n');
    if (print_) std::printf("%.*s\n", static_cast<int>(text.size()), text.data());
  }
  uint64_t hash() const { return hash_; }

 private:
  void mix(unsigned char byte) { hash_ = (hash_ ^ byte) * 0x100000001B3u; }  // FNV-1a

  bool print_;
  uint64_t hash_ = 0xCBF29CE484222325u;
};

// Ways to break what the engine may rely on, to see that the oracle notices.
enum class Sabotage : uint8_t {
  kNone,
  kLostWrite,      // the target forgets a write that it has acknowledged
  kLyingFlush,     // the target acknowledges before a write is durable: a crash undoes it
  kEarlyPosition,  // the source's position runs ahead of what it has delivered
  kSkip,           // a source opened at a position begins one record behind it
  kDouble,         // … one record before it
  kLostLetter,     // the dead letter collection forgets what it has acknowledged
};

// Probabilities of each kind of fault, at each occasion.
struct FaultRates {
  double crash_at_io = 0;  // before or behind each access to the outside world
  double source_error = 0;
  double target_before = 0;  // a command fails before it has an effect
  double target_after = 0;   // … after it had its effect
  double target_partial = 0;
  double target_outage = 0;  // from here on for a while
  double letters_before = 0;
  double letters_after = 0;
  double store_error = 0;
  double store_full = 0;  // from here on for a while
  double slow = 0;        // an access takes its time
};

struct World {
  World(uint64_t seed, bool print) : random(seed), trace(print) {}

  // True when a fault of this probability strikes now.
  bool strikes(double rate) { return faults_on && rate > 0 && random.chance(rate); }
  void crash_point(const char* where) {
    if (strikes(rates.crash_at_io)) throw Crash{where};
  }
  void take_time() {
    if (strikes(rates.slow)) clock.advance(random.between(1, 300));
  }

  Random random;
  SimulatedClock clock;
  Trace trace;
  FaultRates rates;
  bool faults_on = true;
  Sabotage sabotage = Sabotage::kNone;
};

}  // namespace millrace::simulation
