#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "common/bind.h"
#include "fuse_argmax/fuse_argmax.h"
#include "fuse_argmax/map_taps.h"

namespace fuseg {
namespace {

// The job without its arrays, and the memory that it works in.
class Plan {
 public:
  using Size = std::array<std::int64_t, 2>;
  using Valid = std::vector<std::optional<HostArray<std::uint8_t>>>;

  Plan(int classes, const std::vector<Size>& grids, const Size& size, int mode,
       bool align_corners, const HostArray<float>& weights, int ignore, int threads)
      : weights_(weights), job_{} {
    job_.count = static_cast<int>(grids.size());
    job_.classes = classes;
    for (std::size_t m = 0; m < grids.size(); ++m) {
      job_.maps[m].height = grids[m][0];
      job_.maps[m].width = grids[m][1];
    }
    job_.mode = static_cast<FusionMode>(mode);
    job_.align_corners = align_corners;
    job_.weights = weights_.data();
    job_.ignore = ignore;
    job_.out_height = size[0];
    job_.out_width = size[1];
    job_.threads = threads;
    Scratch measure(nullptr);
    cut_map_taps(measure, job_);
    const std::int64_t tables = measure.bytes();
    const std::int64_t bytes = tables + fuse_argmax_scratch_bytes(job_);
    memory_ = std::make_unique<std::uint8_t[]>(static_cast<std::size_t>(bytes));
    Scratch memory(memory_.get());
    cut_map_taps(memory, job_);
    fill_map_taps(job_);
    job_.scratch = memory_.get() + tables;
  }

  void run(const std::vector<py::array>& maps, const Valid& valid, py::array& labels,
           std::optional<HostArray<float>> confidence,
           std::optional<HostArray<std::uint8_t>> source) const {
    FuseArgmax job = job_;
    for (std::size_t m = 0; m < maps.size(); ++m) {
      job.maps[m].scores = maps[m].data();
      job.maps[m].half = maps[m].itemsize() == 2;
      job.maps[m].valid = valid[m] ? valid[m]->data() : nullptr;
    }
    job.labels = labels.mutable_data();
    job.confidence = confidence ? confidence->mutable_data() : nullptr;
    job.source = source ? source->mutable_data() : nullptr;
    const WithoutGil nogil;
    FUSEG_PICK(fuse_argmax)(job);
  }

 private:
  HostArray<float> weights_;
  FuseArgmax job_;
  std::unique_ptr<std::uint8_t[]> memory_;
};

}  // namespace

// Shapes, dtypes and strides were checked, with proper sentences, by
// fuseg.ops.fuse_argmax; here a mismatch is a bug of ours, not of the user's.
void bind_fuse_argmax(py::module_& m) {
  py::class_<Plan>(m, "FuseArgmaxPlan")
      .def(py::init<int, const std::vector<Plan::Size>&, const Plan::Size&, int, bool,
                    const HostArray<float>&, int, int>(),
           "classes"_a, "grids"_a, "size"_a, "how"_a, "align_corners"_a,
           "weights"_a.noconvert(), "ignore"_a, "threads"_a)
      .def("run", &Plan::run, "maps"_a.noconvert(), "valid"_a.noconvert(),
           "labels"_a.noconvert(), "confidence"_a.noconvert(), "source"_a.noconvert());
}

}  // namespace fuseg
