# weft_kernel_cases(OP source): the source defines std::vector<KernelCase> OP_cases() in namespace weft (kernel_case.h), which
# `weft bench kernels OP` runs.
function(weft_kernel_cases op source)
  weft_bench_source(KERNEL ${op} ${source})
endfunction()
# weft_device_cases(OP source): the source defines std::vector<DeviceCase> OP_device_cases() (device_case.h), which
# `weft bench kernels OP --device NAME` runs.
function(weft_device_cases op source)
  weft_bench_source(DEVICE ${op} ${source})
endfunction()
function(weft_bench_source kind op source)
  cmake_path(ABSOLUTE_PATH source OUTPUT_VARIABLE path)
  set_property(GLOBAL APPEND PROPERTY WEFT_${kind}_CASE_OPS ${op})
  set_property(GLOBAL APPEND PROPERTY WEFT_${kind}_CASE_SOURCES ${path})
endfunction()
