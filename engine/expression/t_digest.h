// A t-digest: the distribution of many numbers in bounded memory, from which percentiles are read.
// Numbers are gathered in a buffer; a full buffer is sorted and merged into a list of centroids,
// whose weight is limited so that it is 1 near both ends and largest in the middle. Some hundred
// numbers are therefore kept as they are. Our own because Debian has no library for it.
// Source: Dunning, Ertl, "Computing extremely accurate quantiles using t-digests"
// (https://github.com/tdunning/t-digest), the merging variant. MongoDB's choices, so that equal
// inputs in equal order give equal results: delta 1000, a buffer of 5000, the scale function of
// Folly's digest.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

namespace millrace::engine {

// The position in sorted order, from 0, of the value that is the p-quantile of `count` values:
// never one between two values. Requires: count > 0, 0 <= p <= 1.
int64_t percentile_rank(int64_t count, double p);

class TDigest {
 public:
  struct Centroid {
    double weight;  // how many numbers, a whole number
    double mean;
  };

  // NaN is ignored; infinities are counted apart.
  void add(double number);
  // Adds what `other` has seen after what this one has.
  void merge(const TDigest& other);
  // The values at `ps`; empty if there is nothing. Does not change the digest: what it returns and
  // what later numbers do must not depend on whether somebody looked.
  std::vector<double> percentiles(std::span<const double> ps) const;

  // Of the vectors, as allocated.
  int64_t heap_bytes() const;

  // For checkpoints: everything that the digest knows.
  struct Parts {
    std::vector<double> buffer;
    std::vector<Centroid> centroids;  // by mean
    int64_t negative_infinities = 0;
    int64_t positive_infinities = 0;
    double min = std::numeric_limits<double>::infinity();  // of the centroids' numbers
    double max = -std::numeric_limits<double>::infinity();
  };
  const Parts& parts() const { return parts_; }
  // False, and nothing changed, if no digest has these parts.
  bool restore(Parts parts);

 private:
  // Merges the buffer into the centroids.
  void flush();
  // Merges centroids that are sorted by mean into the list.
  void merge_sorted(std::span<const Centroid> sorted);
  double at(double p) const;
  double interpolate(size_t i, double upper_weight, double rank) const;

  Parts parts_;
  double weight_ = 0;  // of all centroids
};

}  // namespace millrace::engine
