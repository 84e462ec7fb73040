#include <array>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "common/bind.h"
#include "fuse_argmax/fuse_argmax.h"

namespace fuseg {
namespace {

using Grids = std::vector<std::array<std::int64_t, 2>>;  // (h, w) of every map
using Valid = std::vector<std::optional<HostArray<std::uint8_t>>>;

FuseArgmax job_of(int classes, const Grids& grids,
                  const std::array<std::int64_t, 2>& size, bool align_corners,
                  int threads) {
  FuseArgmax job{};
  job.count = static_cast<int>(grids.size());
  job.classes = classes;
  for (std::size_t m = 0; m < grids.size(); ++m) {
    job.maps[m].height = grids[m][0];
    job.maps[m].width = grids[m][1];
  }
  job.align_corners = align_corners;
  job.out_height = size[0];
  job.out_width = size[1];
  job.threads = threads;
  return job;
}

}  // namespace

// Shapes, dtypes and strides were checked, with proper sentences, by
// fuseg.ops.fuse_argmax; here a mismatch is a bug of ours, not of the user's.
void bind_fuse_argmax(py::module_& m) {
  m.def(
      "fuse_argmax_tables_bytes",
      [](int classes, const Grids& grids, const std::array<std::int64_t, 2>& size,
         bool align_corners, int threads) {
        const FuseArgmax job = job_of(classes, grids, size, align_corners, threads);
        return std::pair{fuse_argmax_tables_bytes(job), fuse_argmax_scratch_bytes(job)};
      },
      "classes"_a, "grids"_a, "size"_a, "align_corners"_a, "threads"_a);
  m.def(
      "fuse_argmax_lay_tables",
      [](int classes, const Grids& grids, const std::array<std::int64_t, 2>& size,
         bool align_corners, HostArray<std::uint8_t>& tables) {
        FuseArgmax job = job_of(classes, grids, size, align_corners, 1);
        job.tables = tables.mutable_data();
        fuse_argmax_lay_tables(job);
      },
      "classes"_a, "grids"_a, "size"_a, "align_corners"_a, "tables"_a.noconvert());
  m.def(
      "fuse_argmax_cpu",
      [](const std::vector<py::array>& maps, const Valid& valid,
         const HostArray<float>& weights, int how, bool align_corners, py::array labels,
         int ignore, std::optional<HostArray<float>> confidence,
         std::optional<HostArray<std::uint8_t>> source, int threads,
         HostArray<std::uint8_t>& tables, HostArray<std::uint8_t>& scratch) {
        FuseArgmax job{};
        job.count = static_cast<int>(maps.size());
        job.classes = static_cast<int>(weights.shape(1));
        for (std::size_t i = 0; i < maps.size(); ++i) {
          job.maps[i] = {maps[i].data(), maps[i].itemsize() == 2,
                         valid[i] ? valid[i]->data() : nullptr, maps[i].shape(1),
                         maps[i].shape(2)};
        }
        job.how = static_cast<Fusing>(how);
        job.align_corners = align_corners;
        job.weights = weights.data();
        job.labels = labels.mutable_data();
        job.wide = labels.itemsize() == 2;
        job.ignore = ignore;
        job.confidence = confidence ? confidence->mutable_data() : nullptr;
        job.source = source ? source->mutable_data() : nullptr;
        job.out_height = labels.shape(0);
        job.out_width = labels.shape(1);
        job.threads = threads;
        job.tables = tables.mutable_data();
        job.scratch = scratch.mutable_data();
        py::gil_scoped_release nogil;
        fuse_argmax_cpu(job);
      },
      "maps"_a, "valid"_a, "weights"_a.noconvert(), "how"_a, "align_corners"_a,
      "labels"_a, "ignore"_a, "confidence"_a.noconvert(), "source"_a.noconvert(),
      "threads"_a, "tables"_a.noconvert(), "scratch"_a.noconvert());
}

}  // namespace fuseg
