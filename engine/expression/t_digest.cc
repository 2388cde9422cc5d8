#include "engine/expression/t_digest.h"

#include <algorithm>
#include <cmath>

namespace millrace::engine {
namespace {

constexpr double kDelta = 1000;
constexpr size_t kBufferSize = 5000;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The scale function k(q): slow in the middle, steep at both ends.
double scale(double q) {
  if (q <= 0.5) return kDelta * std::sqrt(q / 2);
  return kDelta * (1 - std::sqrt((1 - q) / 2));
}
double unscale(double k) {
  double part = k / kDelta;
  if (part <= 0.5) return 2 * part * part;
  return 1 - 2 * (1 - part) * (1 - part);
}
// How far a centroid may reach that begins at quantile q: one step of k.
double reach(double q) { return unscale(scale(q) + 1); }

// The mean moves towards the other's; computed from the heavier side, so that rounding cannot carry
// it beyond either.
void absorb(TDigest::Centroid& into, const TDigest::Centroid& other) {
  double weight = into.weight + other.weight;
  double distance = other.mean - into.mean;
  if (std::isinf(distance)) {  // near both ends of what a double holds
    into.mean = into.mean * (into.weight / weight) + other.mean * (other.weight / weight);
  } else if (other.weight == 1) {
    into.mean += distance / weight;
  } else if (other.weight < into.weight) {
    into.mean += distance * (other.weight / weight);
  } else {
    into.mean = other.mean - distance * (into.weight / weight);
  }
  into.weight = weight;
}

}  // namespace

int64_t percentile_rank(int64_t count, double p) {
  if (p >= 1) return count - 1;
  auto rank = static_cast<int64_t>(std::ceil(static_cast<double>(count) * p)) - 1;
  return std::clamp<int64_t>(rank, 0, count - 1);
}

void TDigest::add(double number) {
  if (std::isnan(number)) return;
  if (std::isinf(number)) {
    ++(number < 0 ? parts_.negative_infinities : parts_.positive_infinities);
    return;
  }
  parts_.buffer.push_back(number);
  if (parts_.buffer.size() >= kBufferSize) flush();
}

void TDigest::flush() {
  if (parts_.buffer.empty()) return;
  std::sort(parts_.buffer.begin(), parts_.buffer.end());
  std::vector<Centroid> sorted;
  sorted.reserve(parts_.buffer.size());
  for (double number : parts_.buffer) sorted.push_back({1, number});
  parts_.min = std::min(parts_.min, parts_.buffer.front());
  parts_.max = std::max(parts_.max, parts_.buffer.back());
  parts_.buffer.clear();
  merge_sorted(sorted);
}

void TDigest::merge(const TDigest& other) {
  parts_.negative_infinities += other.parts_.negative_infinities;
  parts_.positive_infinities += other.parts_.positive_infinities;
  if (!other.parts_.centroids.empty()) {
    flush();
    parts_.min = std::min(parts_.min, other.parts_.min);
    parts_.max = std::max(parts_.max, other.parts_.max);
    merge_sorted(other.parts_.centroids);
  }
  for (double number : other.parts_.buffer) add(number);
}

void TDigest::merge_sorted(std::span<const Centroid> sorted) {
  std::vector<Centroid> both;
  both.reserve(parts_.centroids.size() + sorted.size());
  std::merge(parts_.centroids.begin(), parts_.centroids.end(), sorted.begin(), sorted.end(),
             std::back_inserter(both),
             [](const Centroid& a, const Centroid& b) { return a.mean < b.mean; });
  for (const Centroid& centroid : sorted) weight_ += centroid.weight;

  std::vector<Centroid> merged;
  double before = 0;  // weight of all centroids before the current one
  double limit = 0;
  for (const Centroid& next : both) {
    if (!merged.empty() && before + merged.back().weight + next.weight <= limit) {
      absorb(merged.back(), next);
      continue;
    }
    if (!merged.empty()) before += merged.back().weight;
    merged.push_back(next);
    limit = weight_ * reach(before / weight_);
  }
  merged.shrink_to_fit();
  parts_.centroids = std::move(merged);
}

std::vector<double> TDigest::percentiles(std::span<const double> ps) const {
  if (!parts_.buffer.empty()) {
    TDigest flushed = *this;
    flushed.flush();
    return flushed.percentiles(ps);
  }
  std::vector<double> values;
  if (weight_ + static_cast<double>(parts_.negative_infinities + parts_.positive_infinities) == 0)
    return values;
  values.reserve(ps.size());
  for (double p : ps) values.push_back(at(p));
  return values;
}

// Requires: an empty buffer, and that there is something.
double TDigest::at(double p) const {
  if (p <= 0) return parts_.negative_infinities > 0 ? -kInfinity : parts_.min;
  if (p >= 1) return parts_.positive_infinities > 0 ? kInfinity : parts_.max;
  auto finite = static_cast<int64_t>(weight_);
  int64_t rank =
      percentile_rank(finite + parts_.negative_infinities + parts_.positive_infinities, p);
  if (rank < parts_.negative_infinities) return -kInfinity;
  rank -= parts_.negative_infinities;
  if (rank >= finite) return kInfinity;
  double upper_weight = 0;
  for (size_t i = 0; i < parts_.centroids.size(); ++i) {
    upper_weight += parts_.centroids[i].weight;
    if (upper_weight <= static_cast<double>(rank)) continue;
    if (parts_.centroids[i].weight == 1) return parts_.centroids[i].mean;
    return interpolate(i, upper_weight, static_cast<double>(rank));
  }
  return parts_.max;
}

// Numbers are taken to be spread evenly: half of a centroid's weight on either side of its mean.
// `rank` lies in centroid i, up to whose end there are `upper_weight` numbers.
double TDigest::interpolate(size_t i, double upper_weight, double rank) const {
  const auto& all = parts_.centroids;
  bool last = i + 1 == all.size();
  double weight = all[i].weight;
  double behind = upper_weight - rank;  // numbers of the centroid from the rank on, at least 1
  Centroid left = all[i];
  Centroid right = last ? Centroid{0, parts_.max} : all[i + 1];
  double twice_inner = left.weight - 2 * (behind - 1);
  if (behind >= weight / 2) {
    left = i == 0 ? Centroid{0, parts_.min} : all[i - 1];
    right = all[i];
    twice_inner = left.weight + 2 * right.weight - 2 * (behind - 1);
  }
  double part = twice_inner / (left.weight + right.weight);
  return std::min(right.mean, left.mean + (right.mean - left.mean) * part);
}

int64_t TDigest::heap_bytes() const {
  return static_cast<int64_t>(parts_.buffer.capacity() * sizeof(double) +
                              parts_.centroids.capacity() * sizeof(Centroid));
}

bool TDigest::restore(Parts parts) {
  auto finite = [](double number) { return std::isfinite(number); };
  if (parts.buffer.size() >= kBufferSize || parts.negative_infinities < 0 ||
      parts.positive_infinities < 0 ||
      !std::all_of(parts.buffer.begin(), parts.buffer.end(), finite))
    return false;
  double weight = 0;
  for (size_t i = 0; i < parts.centroids.size(); ++i) {
    const Centroid& centroid = parts.centroids[i];
    if (!(centroid.weight >= 1 && centroid.weight < 0x1p53) || !finite(centroid.mean) ||
        (i > 0 && centroid.mean < parts.centroids[i - 1].mean))
      return false;
    weight += centroid.weight;
  }
  if (!parts.centroids.empty() && !(finite(parts.min) && finite(parts.max))) return false;
  if (!(weight < 0x1p53)) return false;
  parts_ = std::move(parts);
  weight_ = weight;
  return true;
}

}  // namespace millrace::engine
