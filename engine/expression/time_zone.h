// Time zones as the date operators name them: Olson names ("Europe/Berlin") from the system's
// tzdata, and offsets ±hh, ±hhmm, ±hh:mm.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/document/status.h"
#include "engine/expression/calendar.h"

namespace date {
class time_zone;
}

namespace millrace::engine {

// One zone; immutable, any thread. Found zones are kept for the life of the process: their number
// is bounded by tzdata and the forms of an offset.
class TimeZone {
 public:
  static const TimeZone& utc();
  // Errors: 40485.
  static Result<const TimeZone*> find(std::string_view name);

  bool is_utc() const { return zone_ == nullptr && fixed_ms_ == 0; }
  // What the zone's clocks show beyond UTC at that moment, in milliseconds; east of Greenwich is
  // positive.
  int64_t offset_ms(int64_t utc_ms) const {
    return zone_ == nullptr ? fixed_ms_ : info(utc_ms).offset_ms;
  }
  // True in daylight saving time.
  bool is_daylight(int64_t utc_ms) const { return zone_ != nullptr && info(utc_ms).daylight; }
  // What the clocks show, as if it were UTC.
  int64_t to_local(int64_t utc_ms) const {
    return calendar::saturating_add(utc_ms, offset_ms(utc_ms));
  }
  // The moment at which the clocks show that. A time that a change of the clocks leaves out is
  // counted with the offset before the change; of a time that comes twice the one in standard time
  // is meant, or the one in daylight saving time if `daylight`.
  int64_t to_utc(int64_t local_ms, bool daylight = false) const;

 private:
  struct Info {
    int64_t offset_ms;
    bool daylight;
  };
  TimeZone(const date::time_zone* zone, std::string footer, int64_t fixed_ms);
  Info info(int64_t utc_ms) const;

  struct Rule;  // of the years beyond the table of changes
  const date::time_zone* zone_;
  std::shared_ptr<const Rule> rule_;
  int64_t fixed_ms_;
};

}  // namespace millrace::engine
