#include <array>
#include <cstdint>
#include <vector>

#include "common/kernel.h"
#include "pack_color/pack_color.h"

namespace fuseg {
namespace {

// For frames of one shape. One thread at a time uses it.
class PackColorKernel : public KernelOf<PackColor, PackColorKernel> {
 public:
  PackColorKernel(std::int64_t height, std::int64_t width,
                  const std::array<std::int64_t, 11>& placement, int pixel_bytes,
                  const std::array<int, 3>& channel, int filter,
                  const std::array<float, 3>& multiply, const std::array<float, 3>& add,
                  float fill, int element, py::dtype out, std::int64_t chw4_channel,
                  int threads) {
    job_.geometry = geometry_from(placement);
    job_.pixel_bytes = pixel_bytes;
    job_.filter = static_cast<Filter>(filter);
    for (int p = 0; p < 3; ++p) {
      job_.channel[p] = channel[p];
      job_.multiply[p] = multiply[p];
      job_.add[p] = add[p];
    }
    job_.fill = fill;
    job_.element = static_cast<PackColor::Element>(element);
    job_.threads = threads;
    const Geometry& g = job_.geometry;
    job_.planes = OutPlanes<3>::from(chw4_channel, g.out_height * g.out_width);

    Array& frame =
        input(job_.frame, py::dtype("uint8"), {height, width, job_.pixel_bytes});
    frame.row_bytes = field(job_.row_bytes);
    frame.gray = pixel_bytes == 1;
    output(job_.out, out, {3, g.out_height, g.out_width}).chw4_channel = chw4_channel;

    tables_.resize(pack_color_tables_bytes(job_));
    scratch_.resize(pack_color_scratch_bytes(job_));
    pack_color_tables(job_, tables_.data());
    job_.tables = tables_.data();
    job_.scratch = scratch_.data();
  }

  bool call(const PackColor& job) {
    FUSEG_PICK(pack_color)(job);
    return true;
  }

 private:
  std::vector<std::uint8_t> tables_;
  std::vector<std::uint8_t> scratch_;
};

}  // namespace

void bind_pack_color(py::module_& m) {
  bind_kernel<PackColorKernel>(m, "PackColor", "pack_color")
      .def(py::init<std::int64_t, std::int64_t, const std::array<std::int64_t, 11>&,
                    int, const std::array<int, 3>&, int, const std::array<float, 3>&,
                    const std::array<float, 3>&, float, int, py::dtype, std::int64_t,
                    int>(),
           "height"_a, "width"_a, "placement"_a, "pixel_bytes"_a, "channel"_a,
           "filter"_a, "multiply"_a, "add"_a, "fill"_a, "element"_a, "out_dtype"_a,
           "chw4_channel"_a, "threads"_a);
}

}  // namespace fuseg
