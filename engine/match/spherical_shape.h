// Shapes on the globe, whose edges are the shortest ways between their points.
#pragma once

#include <memory>

#include "engine/match/geo_parse.h"

namespace millrace::engine {

// Immutable; any thread.
class SphericalShape {
 public:
  // Polygons' rings may have either direction: the inside is the smaller part of the globe. Errors:
  // 2 for rings that cross themselves or holes that are none, and for points off the globe.
  static Result<SphericalShape> make(const GeoParts& parts);
  SphericalShape(SphericalShape&&) noexcept;
  SphericalShape& operator=(SphericalShape&&) noexcept;
  ~SphericalShape();

  // Made of polygons alone: what can contain something.
  bool is_area() const;
  bool strict_winding() const;
  // Each part of `other` lies within one polygon of this shape, its edge included.
  bool contains(const SphericalShape& other) const;
  bool intersects(const SphericalShape& other) const;
  // All of the shape is within `radius` (radians) of `center`.
  bool within(const GeoPoint& center, double radius) const;

 private:
  struct Parts;
  explicit SphericalShape(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace millrace::engine
