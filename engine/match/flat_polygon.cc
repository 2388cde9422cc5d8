#include "engine/match/flat_polygon.h"

#include <algorithm>

namespace millrace::engine {

bool FlatPolygon::contains(const GeoPoint& p) const {
  bool inside = false;
  GeoPoint from = corners_.back();
  for (const GeoPoint& to : corners_) {
    auto [low_x, high_x] = std::minmax(from.x, to.x);
    auto [low_y, high_y] = std::minmax(from.y, to.y);
    if (p == to) return true;
    if (from.y == to.y) {
      if (p.y == to.y && p.x >= low_x && p.x <= high_x) return true;
    } else if (p.y > low_y && p.y <= high_y && p.x <= high_x) {
      if (from.x == to.x) {
        if (p.x == to.x) return true;
        inside = !inside;
      } else if (p.x <= from.x + (p.y - from.y) * (to.x - from.x) / (to.y - from.y)) {
        inside = !inside;
      }
    }
    from = to;
  }
  return inside;
}

}  // namespace millrace::engine
