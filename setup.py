from glob import glob
from xml.etree import ElementTree

from setuptools import find_packages, setup

NAME = "unet_seg_ros"
SHARE = f"share/{NAME}"

setup(
    name=NAME,
    version=ElementTree.parse("package.xml").findtext("version"),
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={f"{NAME}.replay.report": ["*.jinja", "*.css"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (SHARE, ["package.xml"]),
        (f"{SHARE}/launch", glob("launch/*.launch.py")),
        (f"{SHARE}/launch/examples", glob("launch/examples/*.launch.py")),
        (f"{SHARE}/config", glob("config/*")),
        (f"{SHARE}/models", [*glob("models/*.safetensors"), *glob("models/*.md"), *glob("models/LICENSE")]),
    ],
    # What package.xml can't name either (requirements/run.txt) is not asked for here: ROS installs from package.xml.
    install_requires=["setuptools"],
    extras_require={
        "test": ["pytest"],  # or `colcon test` looks for unittest's tests and finds none
        "cluster": ["distributed"],  # several drives replayed at once: requirements/cluster.txt pins it
    },
    zip_safe=False,
    maintainer="unet_seg_ros maintainers",
    maintainer_email="maintainers@unet-seg-ros.example",
    description="Semantic segmentation of driving video with UNets, as a ROS 2 lifecycle node",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "segmentation = unet_seg_ros.ros.node:main",
            "replay = unet_seg_ros.replay.__main__:main",
        ]
    },
)
