// The only file that includes Boost.Geometry: it is large. Its spherical strategies take geodesics
// as edges, as MongoDB does.
#include "engine/match/spherical_shape.h"

#include <algorithm>
#include <boost/geometry.hpp>
#include <boost/geometry/geometries/geometries.hpp>
#include <cmath>
#include <numbers>

namespace millrace::engine {
namespace {

namespace bg = boost::geometry;
using SpherePoint = bg::model::point<double, 2, bg::cs::spherical_equatorial<bg::degree>>;
using SphereLine = bg::model::linestring<SpherePoint>;
using SpherePolygon = bg::model::polygon<SpherePoint>;

SpherePoint on_sphere(const GeoPoint& p) { return {p.x, p.y}; }

Result<SpherePolygon> make_polygon(const GeoPolygon& rings) {
  SpherePolygon polygon;
  for (const GeoPoint& p : rings[0]) bg::append(polygon.outer(), on_sphere(p));
  polygon.inners().resize(rings.size() - 1);
  for (size_t i = 1; i < rings.size(); ++i) {
    for (const GeoPoint& p : rings[i]) bg::append(polygon.inners()[i - 1], on_sphere(p));
  }
  bg::correct(polygon);
  std::string why;
  if (!bg::is_valid(polygon, why)) return Status(ErrorCode::kBadValue, "Loop is not valid: " + why);
  return polygon;
}

// Points are in contact with what they touch. For lines and polygons it is the polygon's inside
// that counts: neighbours that share an edge or a corner do not intersect (MongoDB 6.0.5).
template <typename Part>
bool meets_inside(const Part& part, const SpherePolygon& polygon) {
  return bg::relate(part, polygon, bg::de9im::mask("T********"));
}
bool meets(const SpherePoint& a, const SpherePolygon& b) { return bg::covered_by(a, b); }
bool meets(const SpherePolygon& a, const SpherePoint& b) { return bg::covered_by(b, a); }
bool meets(const SphereLine& a, const SpherePolygon& b) { return meets_inside(a, b); }
bool meets(const SpherePolygon& a, const SphereLine& b) { return meets_inside(b, a); }
bool meets(const SpherePolygon& a, const SpherePolygon& b) { return meets_inside(a, b); }
template <typename A, typename B>
bool meets(const A& a, const B& b) {
  return bg::intersects(a, b);
}

// Points on the edge are contained. MongoDB 6.0.5 does not take a line that runs along the edge for
// contained, nor a polygon with a corner on it, unless that is a corner of the container as well.
bool holds(const SpherePolygon& container, const SpherePoint& point) {
  return bg::covered_by(point, container);
}
bool holds(const SpherePolygon& container, const SphereLine& line) {
  return bg::covered_by(line, container) &&
         !bg::relate(line, container, bg::de9im::mask("*1*******"));
}
bool holds(const SpherePolygon& container, const SpherePolygon& part) {
  if (!bg::covered_by(part, container)) return false;
  auto same = [](const SpherePoint& a, const SpherePoint& b) {
    return bg::get<0>(a) == bg::get<0>(b) && bg::get<1>(a) == bg::get<1>(b);
  };
  auto is_corner = [&](const SpherePoint& p) {
    auto among = [&](const auto& ring) {
      return std::any_of(ring.begin(), ring.end(),
                         [&](const SpherePoint& corner) { return same(p, corner); });
    };
    return among(container.outer()) ||
           std::any_of(container.inners().begin(), container.inners().end(), among);
  };
  return std::all_of(part.outer().begin(), part.outer().end(), [&](const SpherePoint& p) {
    return is_corner(p) || bg::within(p, container);
  });
}

// Whether a part of some shape enters the polygon, whose edge is not part of it.
bool enters(const SpherePoint& point, const SpherePolygon& polygon) {
  return bg::within(point, polygon);
}
template <typename Part>
bool enters(const Part& part, const SpherePolygon& polygon) {
  return meets_inside(part, polygon);
}

}  // namespace

struct SphericalShape::Parts {
  std::vector<SpherePoint> points;
  std::vector<SphereLine> lines;
  std::vector<SpherePolygon> polygons;
  bool strict_winding = false;
  bool complement = false;  // the inside is what lies outside of the one polygon

  // Calls `test` with each part until it gives false.
  template <typename Test>
  bool all(Test test) const {
    return std::all_of(points.begin(), points.end(), test) &&
           std::all_of(lines.begin(), lines.end(), test) &&
           std::all_of(polygons.begin(), polygons.end(), test);
  }
  template <typename Test>
  bool any(Test test) const {
    return std::any_of(points.begin(), points.end(), test) ||
           std::any_of(lines.begin(), lines.end(), test) ||
           std::any_of(polygons.begin(), polygons.end(), test);
  }
};

SphericalShape::SphericalShape(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
SphericalShape::SphericalShape(SphericalShape&&) noexcept = default;
SphericalShape& SphericalShape::operator=(SphericalShape&&) noexcept = default;
SphericalShape::~SphericalShape() = default;

Result<SphericalShape> SphericalShape::make(const GeoParts& from) {
  auto parts = std::make_unique<Parts>();
  parts->strict_winding = from.strict_winding;
  for (const GeoPoint& point : from.points) {
    if (!is_on_globe(point))
      return Status(ErrorCode::kBadValue, "longitude/latitude is out of bounds");
    parts->points.push_back(on_sphere(point));
  }
  for (const GeoLine& line : from.lines) {
    SphereLine& to = parts->lines.emplace_back();
    for (const GeoPoint& p : line) bg::append(to, on_sphere(p));
  }
  try {
    for (const GeoPolygon& polygon : from.polygons) {
      MR_ASSIGN_OR_RETURN(SpherePolygon made, make_polygon(polygon));
      if (from.strict_winding) {
        // correct() has turned the ring clockwise around the smaller part; a ring that was like
        // that from the start has its left on the larger part.
        bool unchanged = bg::get<0>(made.outer()[1]) == polygon[0][1].x &&
                         bg::get<1>(made.outer()[1]) == polygon[0][1].y;
        parts->complement = unchanged;
      }
      parts->polygons.push_back(std::move(made));
    }
  } catch (const bg::exception& error) {
    return Status(ErrorCode::kBadValue, std::string("Loop is not valid: ") + error.what());
  }
  return SphericalShape(std::move(parts));
}

bool SphericalShape::is_area() const {
  return parts_->points.empty() && parts_->lines.empty() && !parts_->polygons.empty();
}
bool SphericalShape::strict_winding() const { return parts_->strict_winding; }

bool SphericalShape::contains(const SphericalShape& other) const {
  try {
    if (parts_->complement) {
      const SpherePolygon& hole = parts_->polygons[0];
      return other.parts_->all([&](const auto& part) { return !enters(part, hole); });
    }
    return other.parts_->all([&](const auto& part) {
      return std::any_of(parts_->polygons.begin(), parts_->polygons.end(),
                         [&](const SpherePolygon& p) { return holds(p, part); });
    });
  } catch (const bg::exception&) {
    return false;  // shapes that Boost cannot overlay
  }
}

bool SphericalShape::intersects(const SphericalShape& other) const {
  try {
    if (parts_->complement) {
      const SpherePolygon& hole = parts_->polygons[0];
      return other.parts_->any([&](const auto& part) { return !bg::within(part, hole); });
    }
    return parts_->any([&](const auto& mine) {
      return other.parts_->any([&](const auto& part) { return meets(mine, part); });
    });
  } catch (const bg::exception&) {
    return false;
  }
}

bool SphericalShape::within(const GeoPoint& center, double radius) const {
  constexpr double kTolerance = 1e-14;
  if (radius >= std::numbers::pi) return true;
  // Distances are angles, seen from the centre of the globe.
  SpherePoint from = on_sphere(center);
  auto near = [&](const SpherePoint& p) { return bg::distance(from, p) <= radius + kTolerance; };
  if (!std::all_of(parts_->points.begin(), parts_->points.end(), near)) return false;
  auto near_line = [&](const auto& line) { return std::all_of(line.begin(), line.end(), near); };
  bool corners = std::all_of(parts_->lines.begin(), parts_->lines.end(), near_line) &&
                 std::all_of(parts_->polygons.begin(), parts_->polygons.end(),
                             [&](const SpherePolygon& p) { return near_line(p.outer()); });
  // Up to a hemisphere the ways between points of a circle stay inside it.
  if (!corners || radius <= std::numbers::pi / 2) return corners;
  SpherePoint opposite(center.x > 0 ? center.x - 180 : center.x + 180, -center.y);
  auto clear = [&](const auto& part) {
    return bg::distance(opposite, part) >= std::numbers::pi - radius - kTolerance;
  };
  return std::all_of(parts_->lines.begin(), parts_->lines.end(), clear) &&
         std::all_of(parts_->polygons.begin(), parts_->polygons.end(), clear);
}

}  // namespace millrace::engine
