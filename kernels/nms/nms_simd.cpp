// Every candidate, from the best on, against the boxes of its class that stay, a vector
// of them at a time. Those of a set of classes are a list of groups, the latest first.
#include "common/scalar.h"
#include "nms/nms.h"
#include "simd/simd.h"

namespace fuseg::FUSEG_LEVEL {
namespace {

static_assert(NmsGroup::kMany % kLanes == 0);

// Whether one of the group overlaps a box of its own class: nms_overlap.
bool any_overlap(const NmsGroup& group, const NmsBox& box, std::int32_t of_class,
                 float threshold) {
  for (int i = 0; i < NmsGroup::kMany; i += kLanes) {
    const Floats wide = sub(min(load(group.right + i), all(box.right)),
                            max(load(group.left + i), all(box.left)));
    const Floats high = sub(min(load(group.bottom + i), all(box.bottom)),
                            max(load(group.top + i), all(box.top)));
    const Floats shared = mul(max(wide, all(0.0f)), max(high, all(0.0f)));
    const Floats both_areas = add(load(group.area + i), all(box.area));
    const Mask above = greater(div(shared, sub(both_areas, shared)), all(threshold));
    const Mask same = equal(load(group.classes + i), all(of_class));
    if (bits(both(above, same)) != 0) return true;
  }
  return false;
}

class Stayed {
 public:
  explicit Stayed(NmsGroup* groups) : groups_(groups) {
    fill_n(latest_, NmsGroup::kSets, -1);
  }

  bool overlaps(const NmsBox& box, std::int32_t of_class, float threshold) const {
    for (std::int32_t at = latest_[set(of_class)]; at >= 0; at = groups_[at].before) {
      if (any_overlap(groups_[at], box, of_class, threshold)) return true;
    }
    return false;
  }

  void add(const NmsBox& box, std::int32_t of_class) {
    std::int32_t& latest = latest_[set(of_class)];
    if (latest < 0 || groups_[latest].used == NmsGroup::kMany) {
      groups_[count_] = NmsGroup{};
      groups_[count_].before = latest;
      latest = count_++;
    }
    NmsGroup& group = groups_[latest];
    const int i = group.used++;
    group.left[i] = box.left;
    group.top[i] = box.top;
    group.right[i] = box.right;
    group.bottom[i] = box.bottom;
    group.area[i] = box.area;
    group.classes[i] = of_class;
  }

 private:
  static std::uint32_t set(std::int32_t of_class) {
    return static_cast<std::uint32_t>(of_class) % NmsGroup::kSets;
  }

  NmsGroup* groups_;
  std::int32_t latest_[NmsGroup::kSets];
  std::int32_t count_ = 0;
};

}  // namespace

std::int64_t nms_simd(const Nms& job) {
  const NmsRanks ranks = nms_rank(job);
  const bool all_stay = job.iou_threshold >= 1.0f;  // no share is more than all
  Stayed stayed(job.groups);
  std::int64_t stay = 0;
  for (std::int64_t rank = 0; rank < ranks.count && stay < job.most; ++rank) {
    const std::int32_t index = nms_index(ranks.keys[rank]);
    if (!all_stay) {
      const NmsBox box = nms_box(job.boxes + std::int64_t{4} * index);
      const std::int32_t of_class = job.classes[index];
      if (stayed.overlaps(box, of_class, job.iou_threshold)) continue;
      stayed.add(box, of_class);
    }
    job.kept[stay++] = index;
  }
  fill_n(job.kept + stay, job.most - stay, std::int32_t{-1});
  return stay;
}

}  // namespace fuseg::FUSEG_LEVEL
