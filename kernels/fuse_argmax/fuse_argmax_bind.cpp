#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "common/kernel.h"
#include "fuse_argmax/fuse_argmax.h"
#include "fuse_argmax/map_taps.h"

namespace fuseg {
namespace {

class FuseArgmaxKernel : public KernelOf<FuseArgmax, FuseArgmaxKernel> {
 public:
  using Size = std::array<std::int64_t, 2>;

  FuseArgmaxKernel(int classes, const std::vector<Size>& grids, const Size& size,
                   int mode, bool align_corners, const HostArray<float>& weights,
                   int ignore, int threads)
      : weights_(weights.data(), weights.data() + weights.size()) {
    job_.count = static_cast<int>(grids.size());
    job_.classes = classes;
    job_.mode = static_cast<FusionMode>(mode);
    job_.align_corners = align_corners;
    job_.weights = weights_.data();
    job_.ignore = ignore;
    job_.out_height = size[0];
    job_.out_width = size[1];
    job_.threads = threads;
    for (std::size_t m = 0; m < grids.size(); ++m) {
      ScoreMap& map = job_.maps[m];
      map.height = grids[m][0];
      map.width = grids[m][1];
      input(map.scores, py::dtype("float32"), {classes, map.height, map.width}).half =
          field(map.half);
    }
    for (std::size_t m = 0; m < grids.size(); ++m) {
      ScoreMap& map = job_.maps[m];
      input(map.valid, py::dtype("uint8"), {map.height, map.width}).optional = true;
    }
    const Shape labels{size[0], size[1]};
    output(job_.labels, py::dtype(job_.wide() ? "uint16" : "uint8"), labels);
    output(job_.confidence, py::dtype("float32"), labels).optional = true;
    output(job_.source, py::dtype("uint8"), labels).optional = true;

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

  bool call(const FuseArgmax& job) {
    FUSEG_PICK(fuse_argmax)(job);
    return true;
  }

 private:
  std::vector<float> weights_;
  std::unique_ptr<std::uint8_t[]> memory_;
};

}  // namespace

void bind_fuse_argmax(py::module_& m) {
  using Kernel = FuseArgmaxKernel;
  bind_kernel<Kernel>(m, "FuseArgmax", "fuse_argmax")
      .def(py::init<int, const std::vector<Kernel::Size>&, const Kernel::Size&, int,
                    bool, const HostArray<float>&, int, int>(),
           "classes"_a, "grids"_a, "size"_a, "mode"_a, "align_corners"_a,
           "weights"_a.noconvert(), "ignore"_a, "threads"_a);
}

}  // namespace fuseg
