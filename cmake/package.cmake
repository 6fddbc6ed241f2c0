# `cpack --config build/release/CPackConfig.cmake` makes geomem-VERSION.tar.gz and a Debian package. Both hold what
# `cmake --install` installs; the commands find their parts relative to themselves, so the archive can be unpacked
# anywhere.
set(CPACK_PACKAGE_NAME geomem)
set(CPACK_PACKAGE_VENDOR geomem)
set(CPACK_PACKAGE_CONTACT "geomem maintainers")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "memory profiler and leak finder for native programs")
set(CPACK_PACKAGE_DESCRIPTION "Records every allocation of an unmodified program with its call stack into one
 SQLite file, and shows where memory goes: leaks, sites, the peak, generations, over time.")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGE_FILE_NAME geomem-${PROJECT_VERSION})
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_STRIP_FILES ON)
set(CPACK_GENERATOR TGZ DEB)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON) # needs dpkg-dev
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libunwind8, sqlite3")
include(CPack)
